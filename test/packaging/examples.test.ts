/**
 * The examples that need other packages, even if only for a mail server, run with the packed tarball, under the judge.
 *
 * @node It starts each runtime itself.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runtimes } from "../support/runtimes.ts";
import { type Folder, run } from "./installed.ts";
import { judgedExamples, judgeReport } from "./judged.ts";

/** Example -> the lines that it prints, in any order. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  "events.mjs": [
    "pino: info delivered: to 1 of 2: 250 queued as demo-1 accepted=1 refused=1",
    "pino: warn failed: no recipient was accepted; nobody@example.net: 550 no such user here",
    "channel: AUTH PLAIN *** -> 235 Authentication successful",
    "channel: RCPT TO:<nobody@example.net> -> 550 no such user here",
  ],
  "pool.mjs": [
    "checked",
    "reader-7@example.net: SMTPRecipientsRefused, delivery: rejected, temporary: false",
    "sent: 49, failed: 1, by 3 connections",
    "to be written to again: 0",
    "stored: 49",
  ],
  "nodemailer.mjs": [
    "verified: true",
    "accepted: charles@example.net",
    "rejected: nobody@example.net EENVELOPE 550 no such user here",
    "response: 250 queued as demo-1",
    "failed: SMTPRecipientsRefused EENVELOPE RCPT TO 550 delivery: rejected",
    "stored: The table of Note G for charles@example.net with note-g.csv",
  ],
  "upyo.mjs": [
    "sent: Letter 1",
    "not sent: Letter 2: nobody@example.net: 550 no such user here",
    "sent: Letter 3",
    "stored: Letter 1 for charles@example.net with note-g.csv",
    "stored: Letter 3 for charles@example.net, mary@example.net with note-g.csv",
  ],
  "opentelemetry.mjs": [
    "POST /orders > connect localhost:… ",
    "POST /orders > send localhost:… to 1",
    "POST /orders > send localhost:… SMTPRecipientsRefused",
    "messaging.client.operation.duration  1 times",
    "messaging.client.operation.duration SMTPRecipientsRefused 1 times",
    "messaging.client.sent.messages  1",
    "messaging.client.sent.messages SMTPRecipientsRefused 1",
    "smtp.client.open_connections  0",
  ],
};

describe("from the packed tarball", () => {
  let folder: Folder;

  beforeAll(async () => {
    folder = await judgedExamples();
  }, 60_000);

  afterAll(() => folder.remove());

  describe.each(runtimes)("on $name", ({ command }) => {
    it.each(Object.entries(EXAMPLES))(
      "examples/%s prints what it promises",
      { timeout: 60_000 },
      async (file, prints) => {
        const judge = await judgeReport();
        const { status, output } = await run(folder.path, [...command, `examples/${file}`], {
          DENO_NO_UPDATE_CHECK: "1",
          ...judge.env,
        });
        expect(output.split("\n")).toEqual(expect.arrayContaining([...prints]));
        expect(status, output).toBe(0);
        await judge.expectNothing({ transactions: 2, reports: 2 });
      },
    );
  });
});
