/** Deno: its own connections. `Deno.connectTls` leaves Nagle's algorithm on, `Deno.connect` and `startTls` do not. */
const ENOUGH = 65_536;

export async function openSocket({ host, port, tls, ca }, listener) {
  const secure = (plain) => Deno.startTls(plain, { hostname: "localhost", caCerts: ca && [ca] });
  let connection = await Deno.connect({ hostname: host, port });
  connection.setNoDelay(true);
  if (tls === "implicit") connection = await secure(connection);

  const buffer = new Uint8Array(65_536);
  let stopping = false;
  let ended = false;
  const read = async () => {
    try {
      do {
        const length = await connection.read(buffer);
        if (length === null) return listener.closed();
        listener.data(buffer, length);
      } while (!stopping);
    } catch (error) {
      if (!ended) listener.closed(error);
    }
  };
  let reading = read();

  const queue = [];
  let queued = 0;
  let writing = false;
  let room;
  const writeQueued = async () => {
    writing = true;
    for (let bytes = queue.shift(); bytes !== undefined; bytes = queue.shift()) {
      queued -= bytes.length;
      for (let at = 0; at < bytes.length; ) at += await connection.write(at === 0 ? bytes : bytes.subarray(at));
      if (queued < ENOUGH) room?.();
    }
    writing = false;
  };
  const write = (bytes) => {
    queue.push(bytes);
    queued += bytes.length;
    if (!writing) writeQueued().catch(listener.closed);
    return queued < ENOUGH;
  };

  return {
    write,
    writeBoth(head, bytes) {
      write(head);
      return write(bytes);
    },
    drained: () =>
      new Promise((resolve) => {
        room = resolve;
      }),
    /** No read may be pending when TLS begins. */
    stopAfterNext() {
      stopping = true;
    },
    async upgrade() {
      await reading;
      stopping = false;
      connection = await secure(connection);
      reading = read();
    },
    end() {
      ended = true;
      connection.close();
    },
  };
}
