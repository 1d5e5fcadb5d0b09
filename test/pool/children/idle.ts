/** A program that sends messages by a pool, or by a transport that has one, and leaves it open. */
import { argv } from "node:process";
import { SMTPPool } from "../../../src/index.ts";
import { smtplib } from "../../../src/nodemailer/npm.ts";
import type { PoolOptions } from "../../../src/pool/options.ts";

/** The task of the program. */
export type Asked = {
  /**
   * "rest": sends messages and leaves the pool idle; "verify": verifies by nodemailer's transport, then the same;
   * "wait": is ready before the messages are sent.
   */
  readonly does: "rest" | "verify" | "wait";
  readonly options: PoolOptions;
};

const { does, options }: Asked = JSON.parse(argv[2] ?? "");

if (does === "verify") {
  const transport = smtplib(options);
  await transport.verify();
  console.log("ready");
} else {
  const pool = new SMTPPool(options);
  const sends = ["one", "two", "three"].map((name) => pool.sendmail("a@a.test", `${name}@b.test`, "hello\r\n"));
  if (does === "wait") console.log("ready");
  const results = await Promise.allSettled(sends);
  console.log(results.map(({ status }) => status).join(" "));
  if (does === "rest") console.log("ready");
}
