/**
 * The server closes the connection within a line: that is no reply, but the error shows it, since it may be the reason.
 */
import { describe, expect, it } from "vitest";
import { SMTP, SMTPPool, SMTPServerDisconnected } from "../../src/index.ts";
import { type Act, close, delay, ehlo, raw, server, startScriptedServer } from "../support/scripted-server.ts";

const MESSAGE = "Subject: Hello\n\nHi!\n";

async function errorFrom(script: Act, call: (smtp: SMTP) => Promise<unknown>): Promise<Error> {
  const scripted = await startScriptedServer(script);
  let smtp: SMTP | undefined;
  try {
    smtp = await SMTP.connect(scripted.host, scripted.port);
    await call(smtp);
    throw new Error("the call did not fail");
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  } finally {
    smtp?.close();
    await scripted.finish();
  }
}

const sending = (smtp: SMTP): Promise<unknown> => smtp.sendmail("ada@example.com", "charles@example.net", MESSAGE);

describe("a last line without its end is shown in the error", () => {
  it.each<[string, Act]>([
    ["as a greeting", [raw("554 5.7.1 go away"), close]],
    ["in answer to EHLO", server({ EHLO: [raw("554 5.7.1 go away"), close] })],
    ["in answer to MAIL", server({ MAIL: [raw("554 5.7.1 go away"), close] })],
    ["in answer to the content", server({ ".": [raw("554 5.7.1 go away"), close] })],
    ["in two packets", server({ MAIL: [raw("554 5.7.1 "), delay(0.02), raw("go away"), close] })],
  ])("%s", async (_, script) => {
    const error = await errorFrom(script, sending);
    expect(error).toBeInstanceOf(SMTPServerDisconnected);
    expect(error.message).toBe("connection lost: the server closed the connection within a line: 554 5.7.1 go away");
  });

  it("escaped, and of no great length", async () => {
    const { message } = await errorFrom(server({ NOOP: [raw(`421 \x1b[2J${"x".repeat(1000)}`), close] }), (smtp) =>
      smtp.noop(),
    );
    expect(message).toContain("421 \\x1b[2Jxxx");
    expect(message.length).toBeLessThan(500);
  });

  it("without a password that it repeats, and without a challenge", async () => {
    const token = btoa("\0user\0s3cret");
    const echo = server({ EHLO: ehlo("AUTH PLAIN"), AUTH: [raw(`535 5.7.8 no such ${token}`), close] });
    const login = (smtp: SMTP): Promise<unknown> => smtp.login("user", "s3cret");
    const refused = await errorFrom(echo, login);
    expect(refused.message).toContain("535 5.7.8 no such ***");
    const cut = server({ EHLO: ehlo("AUTH PLAIN"), AUTH: [raw(`535 5.7.8 no such ${token.slice(0, -3)}`), close] });
    expect((await errorFrom(cut, login)).message).toMatch(/within a line: 535 5\.7\.8 no such \*\*\*$/);
    const asked = server({ EHLO: ehlo("AUTH LOGIN"), AUTH: [raw("334 Y2hhbGxlbmdl"), close] });
    expect((await errorFrom(asked, login)).message).toMatch(/within a line: \*\*\*$/);
  });

  it("by a pool, too", async () => {
    const scripted = await startScriptedServer(server({ ".": [raw("451 4.3.0 disk fu"), close] }));
    const pool = new SMTPPool({ host: scripted.host, port: scripted.port, starttls: "never" });
    await expect(pool.sendmail("ada@example.com", "charles@example.net", MESSAGE)).rejects.toMatchObject({
      message: expect.stringContaining("451 4.3.0 disk fu"),
      delivery: "unknown",
    });
    await pool.close();
    await scripted.finish();
  });
});

it("says nothing of a line where there was none", async () => {
  const { message } = await errorFrom(server({ MAIL: close }), sending);
  expect(message).toBe("connection lost: the server closed the connection");
});
