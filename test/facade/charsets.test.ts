/** Server text that is not UTF-8 keeps its bytes: it is decoded as Latin-1. */
import { describe, expect, test } from "vitest";
import { SMTP } from "../../src/index.ts";
import { type Act, close, converse, delay, pieces, raw, startScriptedServer } from "../support/scripted-server.ts";
import { reasonOf } from "../support/session.ts";

/** "mail box not found" in Chinese, in GBK. */
const GBK = Uint8Array.of(0xd3, 0xca, 0xcf, 0xe4, 0xb2, 0xbb, 0xb4, 0xe6, 0xd4, 0xda);
const line = (code: string, octets: Uint8Array): Uint8Array =>
  Uint8Array.from([...raw(code), ...octets, ...raw("\r\n")]);

async function replyTo(answer: Act): Promise<{ message: string; lines: readonly string[] }> {
  const peer = await startScriptedServer(["220 scripted.test", converse({ NOOP: answer })]);
  const smtp = await SMTP.connect(peer.host, peer.port, { timeout: 5 });
  const reply = await smtp.noop();
  await smtp.quit();
  await peer.finish();
  return reply;
}

describe("a reply over a real socket", () => {
  test("in GBK can be decoded by who knows the charset", async () => {
    const { message } = await replyTo(line("550 ", GBK));
    expect(new Uint8Array(Buffer.from(message, "latin1"))).toEqual(GBK);
    expect(message).not.toContain("\ufffd");
  });

  test("in Latin-1 is read as that, also octets that windows-1252 has other characters for", async () => {
    expect(await replyTo(line("550 ", Uint8Array.of(0x4e, 0xf6, 0x80, 0x9f, 0xff)))).toMatchObject({
      message: "N\u00f6\u0080\u009f\u00ff",
    });
  });

  test("is in one charset: a line that could be UTF-8 is Latin-1 where another is not UTF-8", async () => {
    const utf8Like = Uint8Array.of(0xc3, 0xa4);
    const { lines } = await replyTo([line("550-", utf8Like), line("550-", raw("ascii")), line("550 ", GBK)]);
    expect(lines).toEqual(["\u00c3\u00a4", "ascii", Buffer.from(GBK).toString("latin1")]);
  });

  test.each([
    ["at once", (text: string): Act => text],
    ["octet by octet", (text: string): Act => pieces(text, ...Array.from({ length: 40 }, (_, i) => i + 1))],
    ["cut within a character", (text: string): Act => [raw("").subarray(0), pieces(text, 11), delay(0)]],
  ])("in UTF-8 stays UTF-8, however it is cut: %s", async (_, send) => {
    const { lines } = await replyTo(send("250-Grüße \u4f60\u597d\r\n250-ascii\r\n250 \u{1f600}!"));
    expect(lines).toEqual(["Grüße \u4f60\u597d", "ascii", "\u{1f600}!"]);
  });

  test("does not carry its charset over to the next", async () => {
    const peer = await startScriptedServer([
      "220 scripted.test",
      converse({ XA: [Uint8Array.from([...line("250 ", GBK), ...raw("250 Grüße\r\n250 ascii\r\n")])] }),
    ]);
    const smtp = await SMTP.connect(peer.host, peer.port, { timeout: 5 });
    await smtp.send("XA\r\nXB\r\nXC\r\n");
    const replies = [await smtp.getreply(), await smtp.getreply(), await smtp.getreply()];
    expect(replies.map(({ message }) => message)).toEqual([Buffer.from(GBK).toString("latin1"), "Grüße", "ascii"]);
    smtp.close();
    await peer.finish();
  });

  test("that is no reply is shown in the error without loss", async () => {
    const peer = await startScriptedServer([Uint8Array.from([...raw("Stop: N"), 0xf6, ...raw("\r\n")]), close]);
    const error = await reasonOf(SMTP.connect(peer.host, peer.port, { timeout: 5 }));
    expect(error).toHaveProperty("message", expect.stringContaining("Stop: Nö"));
    await peer.finish();
  });
});
