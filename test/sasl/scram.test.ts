/**
 * SCRAM: the RFCs' examples, agreement with a server by node:crypto, and servers that get no proof (SECURITY.md, rule
 * 8).
 */
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TlsInfo } from "../../src/byte-stream.ts";
import { SMTPException, SMTPNotSupportedError } from "../../src/errors.ts";
import {
  type Mechanism,
  scramSha1,
  scramSha1Plus,
  scramSha256,
  scramSha256Plus,
  scramSha512,
  scramSha512Plus,
} from "../../src/sasl/index.ts";
import { scram, scramPlus } from "../../src/sasl/scram.ts";
import { reasonOf } from "../support/session.ts";
import { exchange } from "./exchange.ts";
import { ScramServer } from "./scram-server.ts";

const hashes = ["SHA-1", "SHA-256", "SHA-512"] as const;
const credentials = { user: "user", password: "pencil" };

/** A TLS session that always exports the same bytes. */
const tls13: TlsInfo = {
  protocol: "TLSv1.3",
  cipher: undefined,
  verified: true,
  fingerprint256: undefined,
  group: undefined,
  exporter: (label, length) => new Uint8Array(length).fill(label.length),
};
const exported = tls13.exporter?.("EXPORTER-Channel-Binding", 32);

test("RFC 5802 5: SCRAM-SHA-1", async () => {
  const nonce = "fyko+d2lbbFgONRv9qkxdawL";
  const whole = `${nonce}3rfcNHYJY1ZVvWVs7j`;
  const mechanism = scram("SHA-1", credentials, () => nonce);
  const challenges = [`r=${whole},s=QSXCR+Q6sek8bf92,i=4096`, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="];
  expect(await exchange(mechanism, challenges)).toEqual({
    initial: `n,,n=user,r=${nonce}`,
    responses: [`c=biws,r=${whole},p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=`, ""],
  });
});

test("RFC 7677 3: SCRAM-SHA-256", async () => {
  const nonce = "rOprNGfwEbeRWgbNEkqO";
  const whole = `${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`;
  const mechanism = scram("SHA-256", credentials, () => nonce);
  const challenges = [`r=${whole},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="];
  expect(await exchange(mechanism, challenges)).toEqual({
    initial: `n,,n=user,r=${nonce}`,
    responses: [`c=biws,r=${whole},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`, ""],
  });
});

describe.each([
  ["SCRAM-SHA-1", "SHA-1", scramSha1],
  ["SCRAM-SHA-256", "SHA-256", scramSha256],
  ["SCRAM-SHA-512", "SHA-512", scramSha512],
] as const)("%s", (name, hash, create) => {
  test("says what it is, and shows no secret", () => {
    const mechanism = create(credentials);
    expect(mechanism).toMatchObject({ name, clearText: false });
    const shown = inspect([mechanism, mechanism.start({ host: "h", tls: undefined })], { depth: 9, showHidden: true });
    expect(shown).not.toContain("pencil");
  });

  test("agrees with a server on any user, password, salt and number of iterations", async () => {
    const word = fc.string({ unit: "grapheme-ascii", maxLength: 20 });
    const any = fc.record({
      user: word,
      password: word,
      authzid: word,
      salt: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      iterations: fc.integer({ min: 4096, max: 4200 }),
    });
    await fc.assert(
      fc.asyncProperty(any, async ({ user, password, authzid, salt, iterations }) => {
        const server = new ScramServer({ hash, password, salt: Buffer.from(salt), iterations });
        const { responses } = await exchange(create({ user, password, authzid }), [server.first, server.final]);
        expect(responses[1]).toBe("");
        expect(server.name.replaceAll("=2C", ",").replaceAll("=3D", "=")).toBe(user);
        const [, named = ""] = /^n,(?:a=(.*))?,$/.exec(server.header) ?? [];
        expect(named.replaceAll("=2C", ",").replaceAll("=3D", "=")).toBe(authzid);
      }),
      { numRuns: 25 },
    );
  });

  test("prepares user and password by SASLprep", async () => {
    const server = new ScramServer({ hash, password: "IX" });
    await exchange(create({ user: "\u00aa", password: "\u2168\u00ad" }), [server.first, server.final]);
    expect(server.name).toBe("a");
  });

  test.each(["\u06271", "\u202e", "\ue000"])("takes what SASLprep prohibits as it is: %j", async (text) => {
    const server = new ScramServer({ hash, password: text });
    await exchange(create({ user: text, password: text }), [server.first, server.final]);
    expect(server.name).toBe(text);
  });

  test("begins with a nonce of its own each time", async () => {
    const first = await Promise.all([1, 2, 3].map(async () => create(credentials).start({ host: "", tls: undefined })));
    const nonces = await Promise.all(first.map(async (steps) => String(await steps.next().value)));
    expect(new Set(nonces).size).toBe(3);
  });

  test("does not believe a server that has the wrong password", async () => {
    const server = new ScramServer({ hash, password: "pencil" });
    const lie = (said: string): string =>
      server.final(said).replace(/^v=./, (start) => (start === "v=A" ? "v=B" : "v=A"));
    const lied = exchange(create(credentials), [server.first, lie]);
    expect(await reasonOf(lied)).toMatchObject({
      name: "SMTPException",
      message: expect.stringContaining("signature"),
    });
  });

  test("answers an error of the server's with an empty line, explains it, and does not believe a 235 after it", async () => {
    const server = new ScramServer({ hash, password: "another" });
    const mechanism = create(credentials);
    const steps = mechanism.start({ host: "h", tls: undefined });
    const say = async (text: string): Promise<string> =>
      new TextDecoder().decode((await steps.next(new TextEncoder().encode(text)).value) ?? undefined);
    const final = server.final(await say(server.first(await say(""))));
    expect(final).toBe("e=invalid-proof");
    expect(await say(final)).toBe("");
    expect(mechanism.explain?.(new TextEncoder().encode(final))).toEqual({ status: "invalid-proof" });
    expect(() => steps.next(new Uint8Array())).toThrow(SMTPException);
  });

  test("does not believe a 235 that comes before the server's signature", async () => {
    const server = new ScramServer({ hash, password: "pencil" });
    expect(await reasonOf(exchange(create(credentials)))).toBeInstanceOf(SMTPException);
    expect(await reasonOf(exchange(create(credentials), [server.first]))).toBeInstanceOf(SMTPException);
  });

  test("has no answer to a challenge behind the signature", async () => {
    const server = new ScramServer({ hash, password: "pencil" });
    const { responses } = await exchange(create(credentials), [server.first, server.final, "more?"]);
    expect(responses[2]).toBe("cancelled");
  });
});

describe("no proof is given for", () => {
  const good = { r: "r=NONCEserver", s: "s=QSXCR+Q6sek8bf92", i: "i=4096" };
  const first = (part: Partial<typeof good>): string => Object.values({ ...good, ...part }).join(",");

  test.each<[name: string, message: string | Uint8Array, says: RegExp]>([
    ["an empty message", "", /malformed/],
    ["an unknown mandatory extension", `m=ext,${first({})}`, /extension/],
    ["an unknown mandatory extension at the end", `${first({})},m=ext`, /extension/],
    ["a nonce that is not ours", first({ r: "r=OTHERserver" }), /nonce/],
    ["a nonce that is ours and no more", first({ r: "r=NONCE" }), /nonce/],
    ["a nonce shorter than ours", first({ r: "r=NON" }), /nonce/],
    ["a nonce that only ends with ours", first({ r: "r=serverNONCE" }), /nonce/],
    ["an empty nonce", first({ r: "r=" }), /malformed/],
    ["a nonce with a space", first({ r: "r=NONCE x" }), /malformed/],
    ["no nonce", "s=QSXCR+Q6sek8bf92,i=4096", /malformed/],
    ["no salt", "r=NONCEserver,i=4096", /malformed/],
    ["an empty salt", first({ s: "s=" }), /malformed/],
    ["a salt that is not base64", first({ s: "s=%%%%" }), /malformed/],
    ["a salt with bad padding", first({ s: "s=QSX" }), /malformed/],
    ["no iterations", "r=NONCEserver,s=QSXCR+Q6sek8bf92", /malformed/],
    ["one iteration", first({ i: "i=1" }), /iterations/],
    ["4095 iterations", first({ i: "i=4095" }), /iterations/],
    ["1,000,001 iterations", first({ i: "i=1000001" }), /iterations/],
    ["a billion iterations", first({ i: "i=1000000000" }), /iterations/],
    ["more iterations than a number holds", first({ i: `i=${"9".repeat(40)}` }), /malformed/],
    ["negative iterations", first({ i: "i=-4096" }), /malformed/],
    ["hexadecimal iterations", first({ i: "i=0x2000" }), /malformed/],
    ["iterations with an exponent", first({ i: "i=1e4" }), /malformed/],
    ["iterations with a leading zero", first({ i: "i=04096" }), /malformed/],
    ["iterations with a sign", first({ i: "i=+4096" }), /malformed/],
    ["attributes in another order", `${good.s},${good.r},${good.i}`, /malformed/],
    ["something behind that is no attribute", `${first({})},x`, /malformed/],
    ["a line break", `${first({})}\n`, /malformed/],
    ["octets that are not UTF-8", new Uint8Array([0x72, 0x3d, 0xff]), /UTF-8/],
    ["the server's last message", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", /malformed/],
    ["an error", "e=unknown-user", /malformed/],
  ])("%s", async (_, message, says) => {
    const mechanism = scram("SHA-256", credentials, () => "NONCE");
    const error = await reasonOf(exchange(mechanism, [message]));
    expect(error).toBeInstanceOf(SMTPException);
    expect(error).toHaveProperty("message", expect.stringMatching(says));
  });

  test("whatever does not begin with our nonce", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async (message) => {
        fc.pre(!message.startsWith("r=NONCE"));
        const mechanism = scram("SHA-256", credentials, () => "NONCE");
        expect(await reasonOf(exchange(mechanism, [message]))).toBeInstanceOf(SMTPException);
      }),
    );
  });

  test("but optional extensions are passed over", async () => {
    const mechanism = scram("SHA-256", credentials, () => "NONCE");
    const steps = mechanism.start({ host: "h", tls: undefined });
    steps.next();
    const proof = await steps.next(new TextEncoder().encode(`${first({})},x=1,y=a=b`)).value;
    expect(new TextDecoder().decode(proof ?? undefined)).toMatch(/^c=biws,r=NONCEserver,p=/);
  });
});

test.each([
  ["nothing", ""],
  ["a signature that is not base64", "v=%%%"],
  ["no signature", "v="],
  ["a short signature", "v=AAAA"],
  ["the first message again", "r=NONCEserver,s=QSXCR+Q6sek8bf92,i=4096"],
  ["an empty error", "e="],
  ["a signature behind something else", "x=1,v=AAAA"],
])("a last message of %s is no success", async (_, last) => {
  for (const hash of hashes) {
    const server = new ScramServer({ hash, password: "pencil" });
    expect(await reasonOf(exchange(scram(hash, credentials), [server.first, last]))).toBeInstanceOf(SMTPException);
  }
});

describe("channel binding", () => {
  const pluses: readonly [string, (typeof hashes)[number], (own: typeof credentials) => Mechanism][] = [
    ["SCRAM-SHA-1-PLUS", "SHA-1", scramSha1Plus],
    ["SCRAM-SHA-256-PLUS", "SHA-256", scramSha256Plus],
    ["SCRAM-SHA-512-PLUS", "SHA-512", scramSha512Plus],
  ];

  test.each(pluses)("%s binds to the exported keying material", async (name, hash, create) => {
    const mechanism = create(credentials);
    expect(mechanism).toMatchObject({ name, clearText: false });
    const server = new ScramServer({ hash, password: "pencil", ...(exported && { binding: exported }) });
    await exchange(mechanism, [server.first, server.final], { tls: tls13 });
    expect(server.header).toBe("p=tls-exporter,,");
  });

  test.each(pluses)("%s fails where the server sees another session", async (_, hash, create) => {
    const server = new ScramServer({ hash, password: "pencil", binding: new Uint8Array(32) });
    const steps = create(credentials).start({ host: "h", tls: tls13 });
    const text = async (value: unknown): Promise<string> => new TextDecoder().decode((await value) as Uint8Array);
    const first = await text(steps.next().value);
    const last = await text(steps.next(new TextEncoder().encode(server.first(first))).value);
    expect(server.final(last)).toBe("e=channel-bindings-dont-match");
  });

  test.each<[name: string, tls: TlsInfo | undefined, says: RegExp]>([
    ["in clear", undefined, /not encrypted.*starttls/],
    ["where the transport tells nothing", { ...tls13, exporter: undefined }, /transport tells neither/],
    ["under TLS 1.2 without a certificate", { ...tls13, protocol: "TLSv1.2" }, /transport tells neither/],
    ["where the protocol is not known", { ...tls13, protocol: undefined }, /transport tells neither/],
  ])("is refused %s, with an error that says why", async (_, tls, says) => {
    const error = await reasonOf(exchange(scramSha256Plus(credentials), [], { tls }));
    expect(error).toBeInstanceOf(SMTPNotSupportedError);
    expect(error).toHaveProperty("message", expect.stringMatching(says));
  });

  test("of a kind that does not exist is a RangeError", () => {
    const create = (): unknown =>
      Reflect.apply(scramSha256Plus, undefined, [{ ...credentials, channelBinding: "tls-unique" }]);
    expect(create).toThrow(/^channelBinding/);
  });

  test.each<[flag: string, name: string, tls: TlsInfo | undefined, offered: readonly string[] | undefined]>([
    ["y", "it could be and the server does not offer it", tls13, ["SCRAM-SHA-256"]],
    ["y", "the server offers it for another hash only", tls13, ["SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"]],
    ["n", "the server offers it, but the caller does not want it", tls13, ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]],
    ["n", "it could not be", { ...tls13, exporter: undefined }, ["SCRAM-SHA-256"]],
    ["n", "there is no TLS", undefined, ["SCRAM-SHA-256"]],
    ["n", "nobody knows what the server offers", tls13, undefined],
  ])("without it the header begins with %s where %s", async (flag, _, tls, offered) => {
    const server = new ScramServer({ hash: "SHA-256", password: "pencil" });
    await exchange(scramSha256(credentials), [server.first, server.final], { tls, offered });
    expect(server.header).toBe(`${flag},,`);
  });

  test("covers the header with the identity to act as", async () => {
    const server = new ScramServer({ hash: "SHA-256", password: "pencil", ...(exported && { binding: exported }) });
    const mechanism = scramPlus("SHA-256", { ...credentials, authzid: "a=b,c" });
    await exchange(mechanism, [server.first, server.final], { tls: tls13 });
    expect(server.header).toBe("p=tls-exporter,a=a=3Db=2Cc,");
  });
});
