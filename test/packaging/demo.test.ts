/** The demo prints the promised output, on the runtime of the tests, and violates no rule of the RFCs. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { running } from "../support/runtimes.ts";
import { type Folder, run } from "./installed.ts";
import { judgedExamples, judgeReport } from "./judged.ts";

describe("the demo", () => {
  let folder: Folder;

  beforeAll(async () => {
    folder = await judgedExamples();
  }, 60_000);

  afterAll(() => folder.remove());

  it("prints the dialogue without the password, the refused recipient, and what the server stored", async () => {
    const judge = await judgeReport();
    const { status, output } = await run(folder.path, [...running.command, "examples/demo.mjs"], judge.env);
    await judge.expectNothing({});
    expect(status, output).toBe(0);
    expect(output).toContain(`smtplib on ${running.name} `);
    expect(output).toMatch(/→ EHLO .*← 250.*STARTTLS.*→ STARTTLS.*← 220.*→ EHLO .*→ AUTH PLAIN \*\*\*.*← 235/s);
    expect(output).toMatch(/→ RCPT TO:<charles@example\.net>.*→ DATA.*← 550.*← 354.*← 250 .*→ QUIT.*← 221/s);
    expect(output).toMatch(/Refused\n {2}nobody@example\.net: 550 /);
    expect(output).toMatch(/RCPT TO: +charles@example\.net, mary@example\.net\n/);
    expect(output).toMatch(/Subject: .*– with an attachment\n/);
    expect(output).toMatch(/\n +\.\n +That dot alone/);
    expect(output).toMatch(/Attachment: note-g\.csv, 43 bytes, text\/csv\n/);
    for (const secret of ["correct horse", btoa("\0ada\0correct horse battery staple")]) {
      expect(output).not.toContain(secret);
    }
  });
});
