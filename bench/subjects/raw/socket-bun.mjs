/** Bun: its own sockets, with their partial writes. */
export async function openSocket({ host, port, tls, ca }, listener) {
  const security = { ca, serverName: "localhost" };
  let socket;
  let opened;
  let room;
  const queue = [];
  const writeQueued = () => {
    while (queue.length > 0) {
      const written = Math.max(0, socket.write(queue[0]));
      if (written < queue[0].length) {
        queue[0] = queue[0].subarray(written);
        return;
      }
      queue.shift();
    }
    room?.();
  };
  const handlers = {
    binaryType: "uint8array",
    open(connected) {
      socket = connected;
      if (tls !== "implicit") opened();
    },
    handshake(_, verified, error) {
      if (verified) opened();
      else listener.closed(error);
    },
    // The raw half of an upgraded socket still reports the encrypted bytes.
    data(from, bytes) {
      if (from === socket) listener.data(bytes, bytes.length);
    },
    drain: writeQueued,
    close: () => listener.closed(),
    error: (_, error) => listener.closed(error),
  };
  await new Promise((resolve, reject) => {
    opened = resolve;
    const implicit = tls === "implicit" ? security : undefined;
    Bun.connect({ hostname: host, port, tls: implicit, socket: handlers }).catch(reject);
  });
  socket.setNoDelay(true);

  const write = (bytes) => {
    const written = queue.length > 0 ? 0 : Math.max(0, socket.write(bytes));
    if (written === bytes.length) return true;
    queue.push(written === 0 ? bytes : bytes.subarray(written));
    return false;
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
    upgrade: () =>
      new Promise((resolve) => {
        opened = resolve;
        const below = socket;
        socket = undefined;
        const [, secure] = below.upgradeTLS({ tls: security, socket: { ...handlers, open() {} } });
        socket = secure;
      }),
    end: () => socket.end(),
  };
}
