/** Gives up a connection that is being established, and then has nothing else to do. */
import { SMTP, SMTP_SSL } from "../../../src/index.ts";

/** The way to give up a connection: with `tls`, during the handshake of implicit TLS. */
export type Asked = {
  readonly host: string;
  readonly port: number;
  readonly way: "timeout" | "signal" | "close";
  readonly tls: boolean;
};

const { host, port, way, tls }: Asked = JSON.parse(String(process.argv.at(-1)));
const controller = new AbortController();
const options = {
  signal: controller.signal,
  ...(way === "timeout" ? { timeouts: tls ? { tls: 0.3 } : { connect: 0.3 } } : {}),
};
const smtp = tls ? new SMTP_SSL(host, port, options) : new SMTP(host, port, options);
const reply = smtp.noop();
if (way === "signal") setTimeout(() => controller.abort(new Error("changed my mind")), 300);
if (way === "close") setTimeout(() => smtp.close(), 300);
await reply.catch((error) => console.log(error.name));
console.log("ready");
