/**
 * Mail over a pair of WHATWG streams, here those of a socket; any object with `readable` and `writable` will do.
 * To try it: node examples/web-streams.mjs mail.example.com 587
 */
import { once } from "node:events";
import net from "node:net";
import { Duplex } from "node:stream";
import { SMTP } from "smtplib";
import { webStreams } from "smtplib/transports/web-streams";

const [host = "localhost", port = "25"] = process.argv.slice(2);
const { MAIL_CA: ca } = process.env;

const transport = webStreams(async (endpoint, { signal }) => {
  const socket = net.connect({ ...endpoint, signal });
  await once(socket, "connect");
  return Duplex.toWeb(socket);
});

const smtp = await SMTP.connect(host, Number(port), { transport });
try {
  await smtp.starttls({ ca });
  const { reply } = await smtp.deliver({
    from: "ada@example.com",
    to: ["charles@example.net"],
    body: "Subject: Over web streams\n\nHello!\n",
  });
  console.log(`${smtp.peer.tls ? "encrypted" : "in clear"}: ${reply.message}`);
} finally {
  await smtp.quit();
}
