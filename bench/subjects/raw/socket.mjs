/**
 * The thinnest socket of the running runtime: `write(bytes)` and `writeBoth(head, bytes)`, false where the writer should
 * wait for `drained()`; `upgrade()` to TLS; `end()`. `listener` is told of `data(bytes, length)` and `closed(error)`.
 */
export async function openSocket(target, listener) {
  const file = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node";
  const { openSocket: open } = await import(`./socket-${file}.mjs`);
  return open(target, listener);
}
