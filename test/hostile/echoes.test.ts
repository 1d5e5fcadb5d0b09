/** A server's echoes of a login, in any charset, appear in no error, log or debug output (SECURITY.md, rule 8). */
import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { SMTP, SMTPAuthenticationError } from "../../src/index.ts";
import { type Act, close, ehlo, raw, server, startScriptedServer } from "../support/scripted-server.ts";

const octets = (text: string): Uint8Array => Buffer.from(text, "latin1");
const base64 = (bytes: string | Uint8Array): Uint8Array => raw(Buffer.from(bytes).toString("base64"));
/** "error" in Chinese, in GBK, which is not UTF-8. */
const GBK = Uint8Array.of(0xb4, 0xed, 0xce, 0xf3);

function line(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from([...raw("535 5.7.8 "), ...parts.flatMap((part) => [...part]), ...raw("\r\n")]);
}

/** Everything that a user or an operator can see of a login with this refusal. */
async function shownOf(
  answer: Act,
  login: (smtp: SMTP) => Promise<unknown>,
  offered = "AUTH PLAIN",
): Promise<{ error: unknown; shown: string }> {
  const printed: unknown[] = [];
  const spy = vi.spyOn(console, "error").mockImplementation((...args) => void printed.push(...args));
  const listen = (...args: unknown[]): void => void printed.push(...args);
  const logger = { debug: listen, info: listen, warn: listen, error: listen };
  try {
    const peer = await startScriptedServer(server({ EHLO: ehlo(offered), AUTH: answer, "334": answer }));
    const smtp = await SMTP.connect(peer.host, peer.port, { timeout: 5, logger });
    smtp.set_debuglevel(1);
    const error = await login(smtp).catch((reason: unknown) => reason);
    await smtp.quit();
    await peer.finish();
    return { error, shown: inspect([error, printed], { depth: 9, showHidden: true, maxStringLength: null }) };
  } finally {
    spy.mockRestore();
  }
}

describe("an echoed password that is not ASCII is masked", () => {
  const PASSWORD = "geheimnis-ü-lang";
  const remnants = ["geheim", "-lang", "geheimnis-\u00c3", "\u00bc-lang"];
  test.each<[form: string, answer: Uint8Array]>([
    ["in UTF-8", line(raw(`password was ${PASSWORD}, sorry`))],
    ["in UTF-8 beside another charset", line(GBK, raw(` password was ${PASSWORD}, sorry`))],
    ["in Latin-1", line(raw("password was "), octets(PASSWORD))],
    ["in Latin-1 beside another charset", line(GBK, raw(" password was "), octets(PASSWORD))],
  ])("%s", async (_, answer) => {
    const { error, shown } = await shownOf(answer, (smtp) => smtp.login("user", PASSWORD));
    expect(error).toBeInstanceOf(SMTPAuthenticationError);
    expect(error).toHaveProperty("smtp_error", expect.stringMatching(/password was \*\*\*/));
    for (const remnant of remnants) expect(shown).not.toContain(remnant);
  });

  test.each<[form: string, encoded: Uint8Array]>([
    ["UTF-8", base64(PASSWORD)],
    ["Latin-1", base64(octets(PASSWORD))],
  ])("in base64 of its %s", async (_, encoded) => {
    const { shown } = await shownOf(line(GBK, encoded), (smtp) => smtp.login("user", PASSWORD));
    expect(shown).not.toContain(Buffer.from(encoded).toString());
  });

  test("in Latin-1 whose octets happen to be UTF-8", async () => {
    const { shown } = await shownOf(line(octets("geh\u00c3\u00bcim")), (smtp) =>
      smtp.login("user", "geh\u00c3\u00bcim"),
    );
    expect(shown).not.toContain("gehüim");
  });

  test("in a line that the connection's end cuts within a character", async () => {
    const cut = Uint8Array.from([...raw("535 it was geheimnis-"), 0xc3]);
    const { shown } = await shownOf([cut, close], (smtp) => smtp.login("user", PASSWORD));
    expect(shown).not.toContain("geheim");
  });

  test("in a line that is no reply, where the error quotes it", async () => {
    const password = 'geheim"nis\\lang';
    const { shown } = await shownOf(raw(`it was ${password}!\r\n`), (smtp) => smtp.login("user", password));
    expect(shown).not.toMatch(/geheim|nis|lang/);
  });

  test("of LOGIN, and where the user's name is a part of it", async () => {
    for (const offered of ["AUTH LOGIN", "AUTH PLAIN"]) {
      const answer = offered.endsWith("PLAIN") ? line(raw("anna-geheim-ü")) : undefined;
      const asked: Act = answer ?? "334 VXNlcm5hbWU6";
      const { shown } = await shownOf(asked, (smtp) => smtp.login("anna", "anna-geheim-ü"), offered);
      expect(shown).not.toContain("geheim");
    }
  });
});

describe("an echoed token or response is masked beside another charset", () => {
  test("that a Mechanism gave in octets that are not UTF-8", async () => {
    const secret = octets("geheimnis-ü-lang");
    const mechanism = {
      name: "X-OWN",
      clearText: true,
      *start() {
        yield secret;
      },
    };
    for (const answer of [line(raw("it was "), secret), line(base64(secret))]) {
      const { shown } = await shownOf(answer, (smtp) => smtp.auth("X-OWN", mechanism), "AUTH X-OWN");
      expect(shown).not.toMatch(/geheim|-lang/);
      expect(shown).not.toContain(Buffer.from(secret).toString("base64"));
    }
  });

  test("that stands within an XOAUTH2 response", async () => {
    const response = "user=user\x01auth=Bearer tokén-geheim\x01\x01";
    for (const echoed of ["tokén-geheim", "Bearer tokén-geheim"]) {
      const login = (smtp: SMTP): Promise<unknown> => smtp.auth("XOAUTH2", () => response);
      const { shown } = await shownOf(line(GBK, raw(echoed)), login, "AUTH XOAUTH2");
      expect(shown).not.toContain("geheim");
    }
  });
});
