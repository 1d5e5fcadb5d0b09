/** With the fake timers of Jest and Vitest, nothing hangs over sockets, which need the runtime's own nextTick. */
import { createTransport } from "nodemailer";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SMTP, SMTPPool } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { type Act, callback, close, ehlo, reset, server, startScriptedServer } from "../support/scripted-server.ts";
import { FakeServer } from "./fake-server.ts";
import { FAKED, inTime, realTimeout } from "./faked.ts";

const [from, to, host] = ["a@example.com", "b@example.com", "mail.example.com"];

/** For large messages under Bun's node:net, the test's own server needs functions that are faked. */
const isBun = "Bun" in globalThis;
const LARGE = `${"x".repeat(70)}\r\n`.repeat(isBun ? 100 : 20_000);

afterEach(() => void vi.useRealTimers());

describe("over sockets", () => {
  const acts: readonly [string, Act][] = [
    ["closes", close],
    ["resets", reset],
    ["takes it", "250 2.0.0 queued"],
  ];

  test.each(
    acts.flatMap(([how, act]) =>
      [".", "DATA", "MAIL"].map((verb): [string, string, Act] => [
        how,
        verb,
        how === "takes it" ? (verb === "DATA" ? "354 go" : act) : act,
      ]),
    ),
  )("a server that %s at %s", async (_, verb, act) => {
    const running = await startScriptedServer(server({ EHLO: ehlo("PIPELINING"), [verb]: act }));
    const warm = new SMTP(running.host, running.port);
    await warm.noop();
    warm.close();
    vi.useFakeTimers({ toFake: [...FAKED] });
    const smtp = new SMTP(running.host, running.port);
    await inTime(Promise.allSettled([smtp.sendmail(from, to, "x\r\n"), smtp.sendmail(from, to, LARGE), smtp.noop()]));
    smtp.close();
    const pool = new SMTPPool({ host: running.host, port: running.port, starttls: "never", maxConnections: 2 });
    await inTime(Promise.allSettled(Array.from({ length: 4 }, () => pool.sendmail(from, to, LARGE))));
    expect(await inTime(pool.close())).toBeUndefined();
    vi.useRealTimers();
    await running.finish();
  });

  test.skipIf(isBun)("a server that resets while the message is written", async () => {
    const running = await startScriptedServer(
      server({ DATA: ["354 go", callback(() => new Promise((resolve) => realTimeout(resolve, 20))), reset] }),
    );
    const warm = new SMTP(running.host, running.port);
    await warm.noop();
    warm.close();
    vi.useFakeTimers({ toFake: [...FAKED] });
    const smtp = new SMTP(running.host, running.port);
    const outcome = await inTime(smtp.sendmail(from, to, "x".repeat(30_000_000)));
    expect(outcome).toMatchObject({ name: "SMTPServerDisconnected", delivery: "not-sent" });
    smtp.close();
    vi.useRealTimers();
    await running.finish();
  });
});

test("nodemailer's own code needs setImmediate; what is given to the plug-in calls back without it", async () => {
  vi.useFakeTimers({ toFake: ["queueMicrotask"] });
  const transporter = createTransport(smtplib({ host, transport: new FakeServer().transport }));
  expect(await inTime(transporter.sendMail({ from, to, text: "x" }))).toMatchObject({ accepted: [to] });
  await inTime(Promise.resolve(transporter.close()));
});
