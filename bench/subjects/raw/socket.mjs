/**
 * The thinnest socket of the runtime: `write(bytes)` and `writeBoth(head, bytes)`, which return false if the writer
 * should wait for `drained()`; `upgrade()` to TLS; `end()`. It calls `data(bytes, length)` and `closed(error)` of
 * `listener`.
 */
export async function openSocket(target, listener) {
  const file = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node";
  const { openSocket: open } = await import(`./socket-${file}.mjs`);
  return open(target, listener);
}
