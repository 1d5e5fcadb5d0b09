/** LMTP: one reply for each recipient after the data (RFC 2033 4.2), of which Python reads only one. */
import { describe, expect, test } from "vitest";
import { LMTP, LMTP_PORT, SMTP, SMTP_PORT, SMTP_SSL_PORT } from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { reasonOf } from "../support/session.ts";

const from = "a@example.com";
const to = ["b@x.y", "c@x.y", "d@x.y"];

async function session(script: Script = {}): Promise<{ server: FakeServer; lmtp: LMTP }> {
  const server = new FakeServer(script);
  const lmtp = await LMTP.connect("/run/lmtp", 0, { transport: server.transport });
  return { server, lmtp };
}

const refuseC = (line: string): string => (line.includes("c@") ? "550 no c" : "250 ok");

describe.each([[[]], [["PIPELINING"]]])("with the extensions %j", (ehlo) => {
  test("each accepted recipient has a reply of its own, in order", async () => {
    const { lmtp } = await session({ ehlo, on: { RCPT: refuseC, ".": "250 b is in\r\n452 d is full" } });
    const delivery = await lmtp.deliver({ from, to, body: "x" });
    expect(delivery).toMatchObject({
      accepted: ["b@x.y"],
      refused: { "c@x.y": [550, "no c"], "d@x.y": [452, "d is full"] },
      reply: [452, "d is full"],
      replies: [
        [250, "b is in"],
        [550, "no c"],
        [452, "d is full"],
      ],
    });
    expect((await lmtp.noop()).code).toBe(250);
  });

  test("the same recipient twice has two replies", async () => {
    const { lmtp } = await session({ ehlo, on: { ".": "250 one\r\n250 two" } });
    const delivery = await lmtp.deliver({ from, to: ["b@x.y", "b@x.y"], body: "x" });
    expect(delivery.accepted).toEqual(["b@x.y", "b@x.y"]);
    expect(delivery.replies).toStrictEqual([
      [250, "one"],
      [250, "two"],
    ]);
  });

  test("all failed after the data is SMTPRecipientsRefused", async () => {
    const { lmtp } = await session({ ehlo, on: { ".": "550 b\r\n452 c\r\n550 d" } });
    expect(await reasonOf(lmtp.sendmail(from, to, "x"))).toMatchObject({
      name: "SMTPRecipientsRefused",
      recipients: { "b@x.y": [550, "b"], "c@x.y": [452, "c"], "d@x.y": [550, "d"] },
      temporary: true,
      delivery: "rejected",
    });
    expect((await lmtp.noop()).code).toBe(250);
  });

  test("552 after the data lasts, and 552 to RCPT passes", async () => {
    const { lmtp } = await session({ ehlo, on: { RCPT: ["250 ok", "552 full"], ".": "552 5.3.4 too big" } });
    const after = await reasonOf(lmtp.sendmail(from, "b@x.y", "x"));
    expect(after).toMatchObject({ name: "SMTPRecipientsRefused", temporary: false, delivery: "rejected" });
    const before = await reasonOf(lmtp.sendmail(from, "b@x.y", "x"));
    expect(before).toMatchObject({ name: "SMTPRecipientsRefused", temporary: true });
  });

  test("a connection that dies between the replies leaves the outcome unknown, with those that came", async () => {
    const { server, lmtp } = await session({ ehlo, on: { ".": () => undefined } });
    const result = reasonOf(lmtp.sendmail(from, to, "x"));
    await server.saw(".");
    server.say("250 b is in\r\n452 c is full\r\n");
    server.streams[0]?.close();
    expect(await result).toMatchObject({
      name: "SMTPServerDisconnected",
      delivery: "unknown",
      replies: [
        [250, "b is in"],
        [452, "c is full"],
      ],
    });
  });

  test("messages in a row keep their replies apart", async () => {
    const { lmtp } = await session({ ehlo, on: { RCPT: refuseC, ".": ["250 1b\r\n550 1d", "250 2b\r\n250 2d"] } });
    const results = await Promise.all([1, 2].map((n) => lmtp.deliver({ from, to, body: `${n}` })));
    expect(results.map(({ replies }) => replies.map(([, text]) => text))).toEqual([
      ["1b", "no c", "1d"],
      ["2b", "no c", "2d"],
    ]);
  });
});

test("data() by hand reads a reply for each accepted recipient", async () => {
  const { lmtp } = await session({ on: { RCPT: refuseC, ".": "250 one\r\n250 two" } });
  await lmtp.ehlo();
  await lmtp.mail(from);
  for (const address of to) await lmtp.rcpt(address);
  expect(await lmtp.data("x")).toStrictEqual([250, "two"]);
  expect(await lmtp.noop()).toStrictEqual([250, "ok"]);
});

test("a 354 for nobody gets no message", async () => {
  const { server, lmtp } = await session({ ehlo: ["PIPELINING"], on: { RCPT: "550 no", DATA: "354 go" } });
  expect(await reasonOf(lmtp.sendmail(from, to, "secret"))).toMatchObject({ name: "SMTPRecipientsRefused" });
  expect(server.writes.join("")).not.toContain("secret");
});

test("starttls on a Unix socket needs a name, and says so before a byte is written", async () => {
  const { server, lmtp } = await session({ ehlo: ["STARTTLS"] });
  expect(await reasonOf(lmtp.starttls())).toBeInstanceOf(TypeError);
  expect(server.lines).toEqual([]);
});

test("the ports are Python's", () => {
  expect([SMTP_PORT, SMTP_SSL_PORT, LMTP_PORT]).toEqual([25, 465, 2003]);
  expect(new LMTP()).toBeInstanceOf(SMTP);
  expect(new LMTP().default_port).toBe(2003);
});
