/**
 * Mail through the proxy in ALL_PROXY, a URL: socks5h://, socks4a://, http:// or https://, with user and password if
 * the proxy requires them. To try it: ALL_PROXY=socks5h://127.0.0.1:1080 node examples/proxy.mjs mail.example.com 25
 */
import { readFileSync } from "node:fs";
import { SMTP, SMTPException } from "smtplib";
import { httpConnect, socks } from "smtplib/proxy";

const [host = "localhost", port = "25"] = process.argv.slice(2);
const { ALL_PROXY: proxy, NODE_EXTRA_CA_CERTS: file } = process.env;
const ca = file === undefined ? undefined : readFileSync(file, "utf8");

try {
  const options = proxy === undefined ? {} : { transport: throughProxy(new URL(proxy)) };
  const smtp = await SMTP.connect(host, Number(port), options);
  try {
    await smtp.ehlo();
    if (smtp.has_extn("starttls")) await smtp.starttls({ ca });
    const { reply } = await smtp.deliver({
      from: "ada@example.com",
      to: ["charles@example.net"],
      body: "Subject: Through a proxy\n\nHello!\n",
    });
    console.log(`${smtp.peer.tls ? "encrypted" : "in clear"}: ${reply.message}`);
  } finally {
    await smtp.quit();
  }
} catch (error) {
  if (!(error instanceof SMTPException)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

function throughProxy({ protocol, hostname, port, username, password }) {
  const user = decodeURIComponent(username);
  const account = user === "" ? {} : { user, password: decodeURIComponent(password) };
  const at = { host: hostname.replace(/^\[|\]$/g, ""), ...(port && { port: Number(port) }) };
  switch (protocol) {
    case "socks5h:":
      return socks({ ...at, ...account });
    case "socks4a:":
      return socks({ ...at, version: "4a", ...(user && { user }) });
    case "http:":
      return httpConnect({ port: 80, ...at, ...account });
    case "https:":
      return httpConnect({ port: 443, ...at, ...account, tls: { ca } });
    default:
      throw new Error(`ALL_PROXY has a scheme that is not known here: ${protocol}`);
  }
}
