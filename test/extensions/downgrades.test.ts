/** The table of docs/extensions.md about changes and refusals for servers without an extension: each row is true. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { SMTP, SMTPOptions } from "../../src/index.ts";
import type { FakeServer } from "../client/fake-server.ts";
import { permit } from "../judge/under-test.ts";
import { reasonOf, session } from "../support/session.ts";

type Check = () => Promise<void>;
type Send = (smtp: SMTP) => Promise<unknown>;

const send =
  (body: string | Uint8Array | string[], options?: Parameters<SMTP["sendmail"]>[3], to = "b@example.net"): Send =>
  (smtp) =>
    smtp.sendmail("a@example.com", to, body, options);

/** Sends to a server with these extensions; checks MAIL, RCPT and the content. */
async function goes(call: Send, ehlo: string[], sees: (server: FakeServer) => void, options?: SMTPOptions) {
  const { server, smtp } = await session({ ehlo }, options);
  await call(smtp);
  sees(server);
  smtp.close();
}

/** Expects a refusal before MAIL that names this capability, and a session that continues. */
async function refused(call: Send, ehlo: string[], capability: string): Promise<void> {
  const { server, smtp } = await session({ ehlo });
  expect(await reasonOf(call(smtp))).toMatchObject({ name: "SMTPNotSupportedError", capability, delivery: "not-sent" });
  expect(server.lines.filter((line) => line.startsWith("MAIL"))).toEqual([]);
  expect(await smtp.noop()).toMatchObject({ code: 250 });
  smtp.close();
}

const message =
  (...contents: string[]) =>
  ({ messages }: FakeServer): void =>
    expect(messages).toEqual(contents);
const said =
  (line: string) =>
  ({ lines }: FakeServer): void =>
    expect(lines).toContain(line);

/** The first column of a row -> the check of the rest of the row. */
const CHECKS: Readonly<Record<string, Check>> = {
  "bytes over 127": async () => {
    await refused(send("ü"), ["SIZE"], "8BITMIME");
    await goes(send("ü"), [], message("ü\r\n"), { eightBit: "send" });
  },
  "a stream, which may hold bytes over 127": async () => {
    const { server, smtp } = await session();
    const error = await reasonOf(send(["x".repeat(9), "ü"])(smtp));
    expect(error).toMatchObject({ name: "SMTPNotSupportedError", capability: "8BITMIME", delivery: "not-sent" });
    expect(smtp.connected).toBe(false);
    expect(server.messages).toEqual([]);
  },
  "an address whose domain is not ASCII": async () => {
    for (const ehlo of [[], ["SMTPUTF8", "8BITMIME"]]) {
      const aLabel = said("RCPT TO:<b@xn--bcher-kva.example>");
      await goes(send("", undefined, "b@bücher.example"), ehlo, aLabel);
    }
  },
  "an address whose local part is not ASCII": () =>
    refused(send("", undefined, "bü@example.net"), ["8BITMIME"], "SMTPUTF8"),
  "UTF-8 header fields, with `send_message`": async () => {
    const call: Send = (smtp) => smtp.send_message("From: a@b.c\nTo: d@e.f\nSubject: ü\n\n");
    await refused(call, ["8BITMIME"], "SMTPUTF8");
    await goes(call, [], message("From: a@b.c\r\nTo: d@e.f\r\nSubject: ü\r\n\r\n"), { eightBit: "send" });
  },
  "more bytes than SIZE allows": async () => {
    await refused(send("123456"), ["SIZE 5"], "SIZE");
    await refused(send("123456", { size: 1 }), ["SIZE 5"], "SIZE");
    await refused(send(["x"], { size: 6 }), ["SIZE 5"], "SIZE");
  },
  '`body: "BINARYMIME"`': async () => {
    await refused(send("", { body: "BINARYMIME" }), ["CHUNKING"], "BINARYMIME");
    await refused(send("", { body: "BINARYMIME" }), ["BINARYMIME"], "CHUNKING");
  },
  'CR or LF alone, without `body: "BINARYMIME"`': () => goes(send("a\nb\rc"), [], message("a\r\nb\r\nc\r\n")),
  'a line that begins with NUL and a dot, without `body: "BINARYMIME"`': async () => {
    for (const body of ["x\n\0.", ["x\n\0", "."]]) {
      const { server, smtp } = await session();
      expect(String(await reasonOf(send(body)(smtp)))).toMatch(/NUL/);
      expect(server.messages).toEqual([]);
      smtp.close();
    }
    await goes(send("x\n\0.", { body: "BINARYMIME" }), ["CHUNKING", "BINARYMIME"], message("x\n\0."));
  },
  "NUL elsewhere, or lines over 998 bytes": () =>
    goes(send(`\0${"x".repeat(5000)}\r\n`), [], message(`\0${"x".repeat(5000)}\r\n`)),
  "more recipients or domains than LIMITS allows": async () => {
    const call: Send = (smtp) => smtp.sendmail("a@b.c", ["d@e.f", "g@h.i"], "hi");
    await goes(call, ["LIMITS RCPTMAX=1"], message("hi\r\n", "hi\r\n"));
    await goes(call, ["LIMITS RCPTDOMAINMAX=1"], message("hi\r\n", "hi\r\n"));
  },
  "recipients that the server has no room for (452, 552)": async () => {
    const { server, smtp } = await session({ on: { RCPT: ["250 ok", "452 too many", "250 ok"] } });
    expect(await smtp.sendmail("a@b.c", ["d@e.f", "g@h.i"], "hi")).toEqual({});
    message("hi\r\n", "hi\r\n")(server);
  },
  "a typed option": async () => {
    await refused(send("", { envid: "x" }), ["SIZE"], "DSN");
    await refused(send("", { mtPriority: 0 }), ["DSN"], "MT-PRIORITY");
  },
  "a time outside DELIVERBY's or FUTURERELEASE's limits": async () => {
    await refused(send("", { by: { seconds: 1, mode: "return" } }), ["DELIVERBY 2"], "DELIVERBY");
    await refused(send("", { holdFor: 3 }), ["FUTURERELEASE 2"], "FUTURERELEASE");
  },
  "`requiretls`": async () => {
    await refused(send("", { requiretls: true }), ["SIZE"], "REQUIRETLS");
    await refused(send("", { requiretls: true }), ["REQUIRETLS"], "REQUIRETLS");
  },
  "options as a list of strings": async () => {
    await goes(send("", ["MT-PRIORITY=3"]), ["SIZE"], said("MAIL FROM:<a@example.com> SIZE=0 MT-PRIORITY=3"));
    const { server, smtp } = await session({ on: { EHLO: "502 no" } });
    await smtp.sendmail("a@example.com", "b@example.net", "", ["MT-PRIORITY=3"]);
    said("MAIL FROM:<a@example.com>")(server);
  },
};

describe("the table of what is changed and what is refused", () => {
  const docs = readFileSync(join(import.meta.dirname, "../../docs/extensions.md"), "utf8");
  const [, table = ""] = docs.split("| The message or the caller has |");
  const rows = [...table.matchAll(/^\| (?!---)(.+?) \|/gm)].map(([, cell = ""]) => cell);

  it("has a row for each check, and a check for each row", () => {
    expect(rows).toEqual(Object.keys(CHECKS));
  });

  it.each(Object.entries(CHECKS))("is true of %s", (_, check) => {
    // The options eightBit and mail_options permit these.
    permit(/RFC 5321 (2\.4|4\.1\.1\.11)/);
    return check();
  });
});
