/**
 * The examples for delivery reports and for delayed mail, from the packed tarball, on each runtime.
 *
 * @node It starts each runtime itself.
 */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { runtimes } from "../support/runtimes.ts";
import { ehlo, server } from "../support/scripted-dialogue.ts";
import { startScriptedServer } from "../support/scripted-server.ts";
import { type Folder, installPackage, type Outcome, run } from "./installed.ts";
import { type JudgeReport, judgeReport, putJudgeInto } from "./judged.ts";
import { root } from "./snippets.ts";

describe("the example", () => {
  let folder: Folder;
  let judge: JudgeReport;

  beforeAll(async () => {
    folder = await installPackage();
    await putJudgeInto(folder);
    for (const file of ["delivery-report.mjs", "later.mjs"]) {
      await copyFile(join(root, "examples", file), join(folder.path, file));
    }
  }, 60_000);

  afterAll(() => folder.remove());

  beforeEach(async () => {
    judge = await judgeReport();
  });

  afterEach(() => judge.expectNothing({}));

  const example = (command: readonly string[], ...args: string[]): Promise<Outcome> =>
    run(folder.path, [...command, ...args], { DENO_NO_UPDATE_CHECK: "1", ...judge.env });

  it.each(runtimes)("for delivery reports asks for them, on $name", { timeout: 60_000 }, async ({ command }) => {
    await using mail = await startEmbeddedServer();
    const { status, output } = await example(command, "delivery-report.mjs", "127.0.0.1", String(mail.port));
    expect(output.split("\n")).toEqual([
      "on its way: charles@example.net",
      "refused: refused@example.net: 550 Permanent failure: Bad destination mailbox address",
      "",
    ]);
    expect(status).toBe(0);
    expect(mail.messages).toMatchObject([{ parameters: { RET: "HDRS", ENVID: "note-g/1843" } }]);
  });

  it.each(runtimes)(
    "for mail that leaves later sends it, or says that the server would not wait so long, on $name",
    { timeout: 60_000 },
    async ({ command }) => {
      const scripted = await startScriptedServer(server({ EHLO: ehlo("FUTURERELEASE 86400 2030-06-01T00:00:00Z") }));
      const later = (...args: string[]): Promise<Outcome> =>
        example(command, "later.mjs", "127.0.0.1", String(scripted.port), ...args);
      const held = "the server holds mail for 86400 s, until 2030-06-01T00:00:00Z\n";
      expect(await later()).toEqual({ status: 0, output: `${held}the server has it\n` });
      const until = await later("2030-05-31T12:00:00Z");
      expect(until).toEqual({ status: 0, output: `${held}the server has it\n` });
      const { output } = await later("2031-01-01T00:00:00Z");
      expect(output).toMatch(/\nnothing was sent: .*holdUntil.*FUTURERELEASE/);
      await scripted.finish();
      const mails = scripted.conversations.map(({ lines }) => lines.find((line) => line.startsWith("MAIL")));
      expect(mails).toEqual([
        "MAIL FROM:<ada@example.com> HOLDFOR=3600",
        "MAIL FROM:<ada@example.com> HOLDUNTIL=2030-05-31T12:00:00Z",
        undefined,
      ]);
    },
  );
});
