/** Node: `node:net` with its own buffer, and `node:tls`. */
import { once } from "node:events";
import net from "node:net";

export async function openSocket({ host, port, tls, ca }, listener) {
  let socket;
  const use = (connecting, readable) => {
    socket = connecting;
    socket.setNoDelay(true);
    socket.on("error", listener.closed);
    socket.on("close", () => listener.closed());
    if (readable) socket.on("data", (bytes) => listener.data(bytes, bytes.length));
  };
  const secure = async (options) => {
    const { connect } = await import("node:tls");
    use(connect({ ...options, ca, servername: "localhost" }), true);
    await once(socket, "secureConnect");
  };

  if (tls === "implicit") {
    await secure({ host, port });
  } else {
    // Bytes that are read into the buffer cannot be passed on to TLS.
    const buffer = Buffer.allocUnsafeSlow(65_536);
    const callback = (length, bytes) => {
      listener.data(bytes, length);
      return true;
    };
    const plain = tls === undefined;
    use(net.connect({ host, port, ...(plain && { onread: { buffer, callback } }) }), !plain);
    await once(socket, "connect");
  }

  return {
    write: (bytes) => socket.write(bytes),
    writeBoth(head, bytes) {
      socket.cork();
      socket.write(head);
      const room = socket.write(bytes);
      socket.uncork();
      return room;
    },
    drained: () => once(socket, "drain"),
    async upgrade() {
      const below = socket;
      for (const event of ["data", "close", "error"]) below.removeAllListeners(event);
      await secure({ socket: below });
    },
    end: () => socket.end(),
  };
}
