/**
 * Servers that manipulate SCRAM and tokens: what they learn, what the client believes, and what others see
 * (SECURITY.md, rule 8).
 */
import { inspect } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { type Logger, SMTP, SMTPAuthenticationError, SMTPException } from "../../src/index.ts";
import { oauthbearer, scramSha256, xoauth2 } from "../../src/sasl/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { ScramServer } from "../sasl/scram-server.ts";
import { settled, watchForLeaks } from "./scenario.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const plainly = (text: string): string => Buffer.from(text, "base64").toString();
const PASSWORD = "tanstaaftanstaaf";

/**
 * A server's deviations: each function changes a right message, which is sent as a challenge; a whole reply is sent
 * unchanged.
 */
type Play = {
  readonly first?: (right: string) => string;
  readonly last?: (right: string) => string;
  /** The reply to the empty line. */
  readonly end?: string;
  /** The reply to "*". */
  readonly cancel?: string;
  readonly offers?: string;
};

/** A server that knows the password, and supports SCRAM-SHA-256 and PLAIN. */
function playing({ first = same, last = same, end = "235 in", cancel = "501 cancelled", offers }: Play): FakeServer {
  let next: ((line: string) => string) | undefined;
  const challenge = (text: string): string => (/^\d{3} /.test(text) ? text : `334 ${base64(text)}`);
  const answer = (line: string): string => {
    if (line === "*") return cancel;
    if (line.startsWith("AUTH SCRAM")) {
      const scram = new ScramServer({ hash: "SHA-256", password: PASSWORD });
      next = (final) => {
        next = () => end;
        return challenge(last(scram.final(plainly(final))));
      };
      return challenge(first(scram.first(plainly(line.split(" ")[2] ?? ""))));
    }
    if (line.startsWith("AUTH")) return "235 in";
    return next?.(line) ?? "500 what";
  };
  const friendly = /^(EHLO|QUIT|NOOP|MAIL|RCPT|DATA|RSET)$/;
  const on = new Proxy<Record<string, (line: string) => string>>(
    {},
    { get: (_, verb) => (typeof verb === "string" && friendly.test(verb) ? undefined : answer) },
  );
  return new FakeServer({ ehlo: [`AUTH ${offers ?? "SCRAM-SHA-256 PLAIN"}`], on });
}

const same = (right: string): string => right;
const flipped = (right: string): string => right.replace(/^v=./, (start) => (start === "v=A" ? "v=B" : "v=A"));

/** The client's lines after EHLO: the mechanism of AUTH, "proof" for a proof, and other lines unchanged. */
function said({ lines }: FakeServer): string[] {
  return lines
    .slice(1)
    .map((line) => (line.startsWith("AUTH") ? (line.split(" ")[1] ?? "") : /,p=/.test(plainly(line)) ? "proof" : line));
}

async function login(server: FakeServer, logger?: Logger): Promise<{ smtp: SMTP; error: unknown }> {
  const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport, timeout: 5, logger });
  const outcome = await settled(() => smtp.login("tim", PASSWORD));
  return { smtp, error: "error" in outcome ? outcome.error : undefined };
}

describe("[scram]", () => {
  watchForLeaks();

  it("a server that keeps to the rules is believed", async () => {
    const server = playing({});
    const { smtp, error } = await login(server);
    expect(error).toBeUndefined();
    expect(said(server)).toEqual(["SCRAM-SHA-256", "proof", ""]);
    await smtp.quit();
  });

  it.each<[name: string, first: (right: string) => string, says: RegExp]>([
    ["asks for one iteration", (right) => right.replace(/i=.*/, "i=1"), /iterations/],
    ["asks for a billion iterations", (right) => right.replace(/i=.*/, "i=1000000000"), /iterations/],
    ["gives a nonce of its own only", (right) => right.replace(/r=[^,]*/, "r=own"), /nonce/],
    ["gives our nonce and nothing more", (right) => right.replace(/3rfcNHYJY1ZVvWVs7j/, ""), /nonce/],
    ["gives a part of our nonce", (right) => right.replace(/r=([^,]{5})[^,]*/, "r=$1"), /nonce/],
    ["demands an extension", (right) => `m=x,${right}`, /extension/],
    ["gives no salt", (right) => right.replace(/s=[^,]*,/, ""), /malformed/],
    ["gives a salt that is not base64", (right) => right.replace(/s=[^,]*/, "s=!"), /malformed/],
    ["says nothing", () => "334 ", /malformed/],
    ["says an error", () => "e=other-error", /malformed/],
  ])("a server that first %s gets no proof and no password", async (_, first, says) => {
    const server = playing({ first });
    const { smtp, error } = await login(server);
    expect(error).toBeInstanceOf(SMTPException);
    expect(error).not.toBeInstanceOf(SMTPAuthenticationError);
    expect(error).toHaveProperty("message", expect.stringMatching(says));
    expect(said(server)).toEqual(["SCRAM-SHA-256", "*"]);
    expect((await smtp.noop()).code).toBe(250);
    await smtp.quit();
  });

  it("a server that first sends no base64 gets no proof, and the next mechanism is tried", async () => {
    const server = playing({ first: () => "334 !!!" });
    const { smtp, error } = await login(server);
    expect(error).toBeUndefined();
    expect(said(server)).toEqual(["SCRAM-SHA-256", "*", "PLAIN"]);
    await smtp.quit();
  });

  it.each<[name: string, play: Play, lines: string[]]>([
    ["at once", { first: () => "235 in" }, ["SCRAM-SHA-256"]],
    ["in place of its signature", { last: () => "235 in" }, ["SCRAM-SHA-256", "proof"]],
    ["after an error", { last: () => "e=other-error" }, ["SCRAM-SHA-256", "proof", ""]],
    ["after a lie, to *", { last: flipped, cancel: "235 in" }, ["SCRAM-SHA-256", "proof", "*"]],
  ])("a server that says 235 %s is not believed, and dropped", async (_, play, lines) => {
    const server = playing(play);
    const { smtp, error } = await login(server);
    expect(error).toBeInstanceOf(SMTPException);
    expect(said(server)).toEqual(lines);
    expect(smtp.connected).toBe(false);
    const sent = await settled(() => smtp.sendmail("a@client.test", "b@lab.test", "x"));
    expect(sent).toMatchObject({ error: { name: "SMTPServerDisconnected", delivery: "not-sent" } });
  });

  it.each<[name: string, last: (right: string) => string]>([
    ["lies in its signature", flipped],
    [
      "shortens its signature",
      (right) => `v=${Buffer.from(right.slice(2), "base64").subarray(0, 4).toString("base64")}`,
    ],
    ["sends an empty signature", () => "v="],
    ["sends a signature that is not base64", () => "v=!"],
    ["sends its first message twice", () => "r=x,s=eA==,i=4096"],
    ["sends no signature", () => "334 "],
    ["sends no base64 in the place of its signature", () => "334 !!!"],
  ])("a server that %s is not believed, and gets no password", async (_, last) => {
    const server = playing({ last });
    const { smtp, error } = await login(server);
    expect(error).toBeInstanceOf(SMTPException);
    expect(error).not.toBeInstanceOf(SMTPAuthenticationError);
    expect(said(server)).toEqual(["SCRAM-SHA-256", "proof", "*"]);
    await smtp.quit();
  });

  it("a server that says why it refuses is heard, and the next mechanism is tried", async () => {
    const server = playing({ last: () => "e=unknown-user", end: "535 no" });
    const { smtp, error } = await login(server);
    expect(error).toBeUndefined();
    expect(said(server)).toEqual(["SCRAM-SHA-256", "proof", "", "PLAIN"]);
    await smtp.quit();
  });

  it("a server that goes on asking is given up", async () => {
    const server = playing({ end: "334 " });
    const { smtp, error } = await login(server);
    expect(error).toBeInstanceOf(SMTPException);
    expect(said(server)).toEqual(["SCRAM-SHA-256", "proof", "", "*"]);
    await smtp.quit();
  });

  it("a server that offers SCRAM and refuses it is asked by each mechanism once", async () => {
    const server = playing({ first: () => "535 no", offers: "SCRAM-SHA-256 scram-sha-256 SCRAM-SHA-1 PLAIN" });
    const { smtp } = await login(server);
    expect(said(server)).toEqual(["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]);
    await smtp.quit();
  });
});

const TOKEN = "ya29.a-token-that-nobody-may-see";

describe("[tokens]", () => {
  watchForLeaks();

  it.each([
    ["XOAUTH2", xoauth2, ""],
    ["OAUTHBEARER", oauthbearer, "AQ=="],
  ] as const)("an endless error of %s is answered once", async (name, create, dummy) => {
    const answer = (line: string): string => (line === "*" ? "501 ok" : `334 ${base64('{"status":"401"}')}`);
    const server = new FakeServer({
      ehlo: [`AUTH ${name}`],
      on: { AUTH: answer, "": answer, "AQ==": answer, "*": answer },
    });
    const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport });
    const outcome = await settled(() => smtp.auth(name, create({ user: "u", token: TOKEN })));
    expect(outcome).toHaveProperty("error", expect.any(SMTPException));
    expect(server.lines.slice(2)).toEqual([dummy, "*"]);
    await smtp.quit();
  });
});

describe("[tokens: a function]", () => {
  watchForLeaks();

  it("that never answers does not outlive the session, and nothing was sent", async () => {
    const server = new FakeServer({ ehlo: ["AUTH XOAUTH2"] });
    const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport });
    let ask = (): void => {};
    const asked = new Promise<void>((resolve) => {
      ask = resolve;
    });
    const token = (): Promise<string> => {
      ask();
      return new Promise(() => {});
    };
    const login = settled(() => smtp.auth("XOAUTH2", xoauth2({ user: "u", token })));
    await asked;
    smtp.close();
    expect(await login).toMatchObject({ error: { name: "SMTPServerDisconnected" } });
    expect(server.lines).toEqual([expect.stringMatching(/^EHLO/)]);
  });

  it("that calls the session is told, and does not wait for itself", async () => {
    const server = new FakeServer({ ehlo: ["AUTH XOAUTH2"] });
    const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport });
    const token = async (): Promise<string> => (await smtp.noop()).message;
    const outcome = await settled(() => smtp.auth("XOAUTH2", xoauth2({ user: "u", token })));
    expect(outcome).toMatchObject({ error: { name: "SMTPException", cause: { name: "TypeError" } } });
    await smtp.quit();
  });
});

class Memory implements Logger {
  readonly lines: string[] = [];
  debug = (line: string): void => void this.lines.push(line);
  info = (line: string): void => void this.lines.push(line);
  warn = (line: string): void => void this.lines.push(line);
  error = (line: string): void => void this.lines.push(line);
}

/** Runs `act` with a logger and the debug output; returns everything that an observer could see. */
async function seen(server: FakeServer, act: (smtp: SMTP) => Promise<unknown>): Promise<string> {
  const printed: string[] = [];
  const spy = vi.spyOn(console, "error").mockImplementation((...args) => void printed.push(args.join(" ")));
  const logger = new Memory();
  const smtp = new SMTP("mail.example.com", 25, { transport: server.transport, logger, timeout: 5 });
  smtp.set_debuglevel(2);
  const outcome = await settled(() => act(smtp));
  spy.mockRestore();
  const shown = inspect(smtp, { depth: 10, showHidden: true });
  smtp.close();
  const error = "error" in outcome ? outcome.error : undefined;
  expect(error).toBeInstanceOf(SMTPException);
  const errors = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error) + String(error);
  expect(logger.lines.join("\n")).toContain("AUTH");
  return [...printed, ...logger.lines, errors, shown].join("\n");
}

describe("[auth: secrets of the later mechanisms]", () => {
  watchForLeaks();

  it.each(["e=other-error", "535 no"])("nobody sees password, proof or nonce of SCRAM after %s", async (answer) => {
    const sent: string[] = [];
    const server = playing({ last: () => answer, end: "535 no", offers: "SCRAM-SHA-256" });
    const all = await seen(server, (smtp) =>
      smtp.auth("SCRAM-SHA-256", scramSha256({ user: "tim", password: PASSWORD })),
    );
    for (const line of server.lines.slice(1)) {
      const text = plainly(line.split(" ").at(-1) ?? "");
      sent.push(
        ...text
          .split(",")
          .map((part) => part.slice(2))
          .filter((part) => part.length > 10),
        text,
      );
    }
    expect(sent.length).toBeGreaterThan(3);
    for (const secret of [PASSWORD, base64(PASSWORD), ...sent.filter((text) => text !== "")]) {
      expect(all).not.toContain(secret);
    }
  });

  it("a server that echoes the proof shows it to nobody", async () => {
    const server = playing({ offers: "SCRAM-SHA-256", last: () => `535 not ${server.lines.at(-1)} ${proof()}` });
    const proof = (): string =>
      plainly(server.lines.findLast((line) => plainly(line).includes(",p=")) ?? "").replace(/.*,p=/, "");
    const all = await seen(server, (smtp) => smtp.login("tim", PASSWORD));
    expect(proof()).toMatch(/^[\w+/]{43}=$/);
    expect(all).not.toContain(proof());
    expect(all).toContain("not *** ***");
  });

  it.each([
    ["XOAUTH2", xoauth2],
    ["OAUTHBEARER", oauthbearer],
  ] as const)("a server that echoes the token of %s shows it to nobody, in its JSON neither", async (name, create) => {
    const json = JSON.stringify({ status: "401", scope: `token ${TOKEN}`, [TOKEN]: base64(TOKEN), deep: [TOKEN] });
    const refusal = `535 no ${TOKEN} ${base64(TOKEN)}`;
    const on = { AUTH: `334 ${base64(json)}`, "": refusal, "AQ==": refusal };
    const server = new FakeServer({ ehlo: [`AUTH ${name}`], on });
    let error: unknown;
    const all = await seen(server, async (smtp) => {
      try {
        await smtp.auth(name, create({ user: "u", token: TOKEN }));
      } catch (reason) {
        error = reason;
        throw reason;
      }
    });
    expect(error).toMatchObject({ serverError: { status: "401", scope: "token ***" } });
    for (const secret of [TOKEN, base64(TOKEN)]) expect(all).not.toContain(secret);
  });
});
