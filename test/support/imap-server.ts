/** The part of an IMAP server (RFC 9051) that storing a message needs: a login, the list of folders, APPEND. */
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";

/** A running server. */
export type ImapServer = {
  readonly port: number;
  /** The stored messages, with their folders and flags. */
  readonly stored: { folder: string; flags: string; message: string }[];
  close(): Promise<void>;
};

const CAPABILITY = "CAPABILITY IMAP4rev1 SPECIAL-USE";

/** Starts it on a free port, for one account. */
export async function startImapServer({ user, password }: { user: string; password: string }): Promise<ImapServer> {
  const stored: ImapServer["stored"] = [];
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.write(`* OK [${CAPABILITY}] ready\r\n`);
    let buffer = "";
    socket.on("data", (data) => {
      buffer += data.toString("latin1");
      for (let line = takeLine(); line !== undefined; line = takeLine()) answer(line);
    });

    /** A command, with its literal if the command ends in a literal's size. */
    function takeLine(): { command: string; literal: string } | undefined {
      const end = buffer.indexOf("\r\n");
      if (end === -1) return undefined;
      const command = buffer.slice(0, end);
      const [, size] = /\{(\d+)\+?\}$/.exec(command) ?? [];
      const length = Number(size ?? 0);
      const rest = buffer.slice(end + 2);
      if (size === undefined) {
        buffer = rest;
        return { command, literal: "" };
      }
      if (rest.length < length + 2) {
        if (rest === "") socket.write("+ go on\r\n");
        return undefined;
      }
      buffer = rest.slice(length + 2);
      return { command, literal: rest.slice(0, length) };
    }

    function answer({ command, literal }: { command: string; literal: string }): void {
      const [, tag = "*", verb = "", rest = ""] = /^(\S+) (\S+) ?(.*)$/.exec(command) ?? [];
      const ok = (...lines: string[]): void =>
        void socket.write([...lines, `${tag} OK done`].map((line) => `${line}\r\n`).join(""));
      switch (verb.toUpperCase()) {
        case "CAPABILITY":
          return ok(`* ${CAPABILITY}`);
        case "LOGIN":
          if (rest.replaceAll('"', "") === `${user} ${password}`) return ok();
          return void socket.write(`${tag} NO [AUTHENTICATIONFAILED] wrong password\r\n`);
        case "NAMESPACE":
          return ok('* NAMESPACE (("" "/")) NIL NIL');
        case "LIST":
          // The request for the delimiter.
          if (rest === '"" ""') return ok('* LIST (\\Noselect) "/" ""');
          return ok('* LIST (\\HasNoChildren) "/" INBOX', '* LIST (\\HasNoChildren \\Sent) "/" "Sent Items"');
        case "LSUB":
          return ok('* LSUB () "/" INBOX', '* LSUB () "/" "Sent Items"');
        case "APPEND": {
          const [, folder = "", flags = ""] = /^"?([^"(]*?)"? \(([^)]*)\)/.exec(rest) ?? [];
          stored.push({ folder, flags, message: literal });
          return ok();
        }
        case "LOGOUT":
          ok("* BYE see you");
          return void socket.end();
        default:
          return ok();
      }
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server of TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    stored,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
