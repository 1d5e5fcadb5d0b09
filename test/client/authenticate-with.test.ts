/** Authentication by passwords, tokens and their renewal, and the caller's mechanisms (SECURITY.md, rule 8). */
import { describe, expect, test, vi } from "vitest";
import type { TlsInfo } from "../../src/byte-stream.ts";
import { authenticateWith, type Credentials, singleFlight } from "../../src/client/authenticate-with.ts";
import { Chunking, sendingPolicy } from "../../src/client/chunking.ts";
import { Client } from "../../src/client/client.ts";
import { resolveTimeouts } from "../../src/client/deadline.ts";
import { Events } from "../../src/client/events.ts";
import type { Logger } from "../../src/client/logger.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { anonymous, external, oauthbearer, plain } from "../../src/sasl/index.ts";
import { authServer } from "../facade/auth-server.ts";
import { ScramServer } from "../sasl/scram-server.ts";
import { reasonOf } from "../support/session.ts";
import { FakeServer, type Script } from "./fake-server.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const plainly = (text: string | undefined): string => Buffer.from(text ?? "", "base64").toString();
const expired = `334 ${base64('{"status":"invalid_token","scope":"mail"}')}`;
const forbidden = `334 ${base64('{"status":"insufficient_scope"}')}`;

type Opened = {
  readonly server: FakeServer;
  authenticate(credentials: Credentials, mechanisms?: readonly string[]): Promise<unknown>;
};

async function open(script: Script, logger?: Logger): Promise<Opened> {
  const server = new FakeServer(script);
  const timeouts = resolveTimeouts(5);
  const chunking = new Chunking(undefined);
  const client = new Client({
    protocol: "smtp",
    limits: DEFAULT_LIMITS,
    pipelining: true,
    chunking,
    policy: sendingPolicy({}, chunking),
    timeouts: () => timeouts,
    localName: () => "client.test",
    events: new Events(logger),
    signal: undefined,
  });
  const endpoint = { host: "mail.example.com", port: 587 };
  await client.open(async () => ({ endpoint, sourceAddress: undefined, tls: undefined, transport: server.transport }));
  return {
    server,
    authenticate: (credentials, mechanisms) =>
      client.exclusively((session) =>
        authenticateWith({ session, allowInsecureAuth: false }, credentials, { mechanisms }),
      ),
  };
}

/** The mechanisms of the AUTH lines, in order. */
const tried = ({ lines }: FakeServer): readonly (string | undefined)[] =>
  lines.filter((line) => line.startsWith("AUTH ")).map((line) => line.split(" ")[1]);

describe("a password", () => {
  test("goes by the strongest that both sides have, after EHLO", async () => {
    const { server, authenticate } = await open(authServer("PLAIN LOGIN", { PLAIN: "235 in" }));
    expect(await authenticate({ user: "user", password: "secret" })).toEqual([235, "in"]);
    expect(server.lines).toEqual(["EHLO client.test", `AUTH PLAIN ${base64("\0user\0secret")}`]);
  });

  test("goes only by mechanisms that can say as whom to act, where that is asked for", async () => {
    const { server, authenticate } = await open(authServer("CRAM-MD5 LOGIN PLAIN", { PLAIN: "235 in" }));
    await authenticate({ user: "user", password: "secret", authzid: "boss" });
    expect(server.lines[1]).toBe(`AUTH PLAIN ${base64("boss\0user\0secret")}`);
  });
});

describe("a mechanism of the caller's", () => {
  test.each([
    ["PLAIN", plain({ user: "u", password: "p" }), `AUTH PLAIN ${base64("\0u\0p")}`],
    ["EXTERNAL", external(), "AUTH EXTERNAL ="],
    ["EXTERNAL as somebody", external({ authzid: "boss" }), `AUTH EXTERNAL ${base64("boss")}`],
    ["ANONYMOUS", anonymous(), "AUTH ANONYMOUS ="],
    ["ANONYMOUS with a trace", anonymous({ trace: "sirhc" }), "AUTH ANONYMOUS c2lyaGM="],
    [
      "OAUTHBEARER",
      oauthbearer({ user: "", token: "t", host: "h" }),
      `AUTH OAUTHBEARER ${base64("n,,\x01host=h\x01auth=Bearer t\x01\x01")}`,
    ],
  ])("is run: %s", async (_, mechanism, line) => {
    const { server, authenticate } = await open(authServer(mechanism.name, { [mechanism.name]: "235 in" }));
    await authenticate(mechanism);
    expect(server.lines[1]).toBe(line);
  });

  test("is not, if the server does not offer it", async () => {
    const { server, authenticate } = await open(authServer("PLAIN", {}));
    expect(await reasonOf(authenticate(external()))).toMatchObject({
      name: "SMTPException",
      message: expect.stringContaining("the server offers PLAIN"),
    });
    expect(tried(server)).toEqual([]);
  });
});

test.each<[name: string, credentials: unknown]>([
  ["nothing", undefined],
  ["a text", "secret"],
  ["a user alone", { user: "u" }],
  ["a token that is none", { user: "u", token: 1 }],
  ["a NUL", { user: "u", password: "\0" }],
])("credentials that are %s are a TypeError, before a byte is sent", async (_, credentials) => {
  const { server, authenticate } = await open(authServer("PLAIN XOAUTH2", {}));
  expect(await reasonOf(Reflect.apply(authenticate, undefined, [credentials]))).toBeInstanceOf(TypeError);
  expect(server.lines).toEqual([]);
});

describe("a token", () => {
  test.each([
    ["XOAUTH2 OAUTHBEARER PLAIN", "OAUTHBEARER"],
    ["PLAIN XOAUTH2", "XOAUTH2"],
  ])("goes by the best of %s", async (offers, mechanism) => {
    const { server, authenticate } = await open(authServer(offers, { [mechanism]: "235 in" }));
    await authenticate({ user: "u", token: "secret-token" });
    expect(tried(server)).toEqual([mechanism]);
    expect(plainly(server.lines[1]?.split(" ")[2])).toContain("auth=Bearer secret-token\x01");
  });

  test("never goes by a mechanism for passwords", async () => {
    const { server, authenticate } = await open(authServer("PLAIN LOGIN", { PLAIN: "235 in" }));
    expect(await reasonOf(authenticate({ user: "u", token: "t" }))).toMatchObject({ name: "SMTPException" });
    expect(tried(server)).toEqual([]);
  });

  test("tells by the fields of the exception why it was refused, and does not try another mechanism with it", async () => {
    const { server, authenticate } = await open(
      authServer("OAUTHBEARER XOAUTH2", { OAUTHBEARER: [forbidden, "535 5.7.8 no"] }),
    );
    const error = await reasonOf(authenticate({ user: "u", token: "secret-token" }));
    expect(error).toMatchObject({
      name: "SMTPAuthenticationError",
      smtp_code: 535,
      smtp_error: "5.7.8 no",
      message: "535 5.7.8 no (insufficient_scope)",
      temporary: false,
      serverError: { status: "insufficient_scope" },
      causes: [{ serverError: { status: "insufficient_scope" } }],
    });
    expect(tried(server)).toEqual(["OAUTHBEARER"]);
    expect(server.lines[2]).toBe("AQ==");
  });

  test("is tried by the next mechanism after a refusal without a reason", async () => {
    const { server, authenticate } = await open(
      authServer("OAUTHBEARER XOAUTH2", { OAUTHBEARER: "535 no", XOAUTH2: "235 in" }),
    );
    await authenticate({ user: "u", token: "t" });
    expect(tried(server)).toEqual(["OAUTHBEARER", "XOAUTH2"]);
  });

  test("that is too long for the command follows the empty challenge, and a refusal is answered as ever", async () => {
    const { server, authenticate } = await open(authServer("XOAUTH2", { XOAUTH2: ["334 ", expired, "535 no"] }));
    const token = "t".repeat(600);
    expect(await reasonOf(authenticate({ user: "u", token }))).toMatchObject({
      serverError: { status: "invalid_token" },
    });
    expect(server.lines.slice(1)).toEqual(["AUTH XOAUTH2", base64(`user=u\x01auth=Bearer ${token}\x01\x01`), ""]);
  });

  test("is not sent over a connection that others can read, and no function is asked for it", async () => {
    const token = vi.fn(async () => "t");
    const peer = { remoteAddress: "192.0.2.1", loopback: false };
    const { server, authenticate } = await open(authServer("XOAUTH2", { XOAUTH2: "235 in" }, peer));
    expect(await reasonOf(authenticate({ user: "u", token }))).toMatchObject({ capability: "STARTTLS" });
    expect(tried(server)).toEqual([]);
    expect(token).not.toHaveBeenCalled();
  });
});

describe("a token function", () => {
  test("is asked once more after the server says that the token has expired", async () => {
    const tokens = ["old", "new"];
    const { server, authenticate } = await open(authServer("XOAUTH2", { XOAUTH2: [expired, "535 no"] }));
    const answers = vi.fn(async () => tokens.shift() ?? "none");
    expect(await reasonOf(authenticate({ user: "u", token: answers }))).toMatchObject({
      serverError: { status: "invalid_token" },
      causes: [{ smtp_code: 535 }, { smtp_code: 535 }],
    });
    expect(answers).toHaveBeenCalledTimes(2);
    const sent = server.lines.filter((line) => line.startsWith("AUTH")).map((line) => plainly(line.split(" ")[2]));
    expect(sent).toEqual([expect.stringContaining("Bearer old"), expect.stringContaining("Bearer new")]);
  });

  test("that then gives a fresh one logs in", async () => {
    const tokens = ["old", "new"];
    const answer = (line: string): string => (plainly(line.split(" ")[2]).includes("Bearer new") ? "235 in" : expired);
    const { server, authenticate } = await open({
      ehlo: ["AUTH OAUTHBEARER"],
      on: { AUTH: answer, "AQ==": "535 no" },
    });
    expect(await authenticate({ user: "u", token: async () => tokens.shift() ?? "none" })).toEqual([235, "in"]);
    expect(tried(server)).toEqual(["OAUTHBEARER", "OAUTHBEARER"]);
  });

  test("that gives the refused token again does not have it sent again", async () => {
    const token = vi.fn(async () => "old");
    const { server, authenticate } = await open(authServer("XOAUTH2", { XOAUTH2: [expired, "535 no"] }));
    const error = await reasonOf(authenticate({ user: "u", token }));
    expect(error).toMatchObject({ smtp_code: 535, causes: [expect.anything()] });
    expect(token).toHaveBeenCalledTimes(2);
    expect(tried(server)).toEqual(["XOAUTH2"]);
  });

  test.each<[name: string, answers: string | string[]]>([
    ["the reason is another", [forbidden, "535 no"]],
    ["the server cannot tell now", [expired, "454 later"]],
  ])("is asked once only where %s", async (_, answers) => {
    const token = vi.fn(async () => "t");
    const { authenticate } = await open(authServer("XOAUTH2", { XOAUTH2: answers }));
    expect(await reasonOf(authenticate({ user: "u", token }))).toHaveProperty("name", "SMTPAuthenticationError");
    expect(token).toHaveBeenCalledTimes(1);
  });

  test("is asked once more after a 535 without a reason, and its second token is used by the other mechanism, too", async () => {
    const tokens = ["old", "new", "never"];
    const token = vi.fn(async () => tokens.shift() ?? "none");
    const { server, authenticate } = await open(
      authServer("OAUTHBEARER XOAUTH2", { OAUTHBEARER: "535 no", XOAUTH2: "535 no" }),
    );
    expect(await reasonOf(authenticate({ user: "u", token }))).toMatchObject({ smtp_code: 535 });
    expect(token).toHaveBeenCalledTimes(2);
    const sent = server.lines.filter((line) => line.startsWith("AUTH")).map((line) => plainly(line.split(" ")[2]));
    expect(sent).toEqual([
      expect.stringMatching(/^n,.*Bearer old/),
      expect.stringMatching(/^n,.*Bearer new/),
      expect.stringMatching(/^user=u.*Bearer new/),
    ]);
  });

  test("that gives the token again that a bare 535 refused does not have it sent twice by one mechanism", async () => {
    const token = vi.fn(async () => "same");
    const { server, authenticate } = await open(authServer("XOAUTH2", { XOAUTH2: "535 no" }));
    expect(await reasonOf(authenticate({ user: "u", token }))).toMatchObject({ smtp_code: 535, causes: [{}] });
    expect(token).toHaveBeenCalledTimes(2);
    expect(tried(server)).toEqual(["XOAUTH2"]);
  });

  test("is asked once more where it is in a mechanism", async () => {
    const tokens = ["old", "new"];
    const answer = (line: string): string => (plainly(line.split(" ")[2]).includes("Bearer new") ? "235 in" : "535 no");
    const { server, authenticate } = await open({ ehlo: ["AUTH OAUTHBEARER"], on: { AUTH: answer } });
    const mechanism = oauthbearer({ user: "u", token: async () => tokens.shift() ?? "none" });
    expect(await authenticate(mechanism)).toEqual([235, "in"]);
    expect(tried(server)).toEqual(["OAUTHBEARER", "OAUTHBEARER"]);
  });

  test("is not asked again after a string was refused", async () => {
    const { server, authenticate } = await open(authServer("XOAUTH2", { XOAUTH2: "535 no" }));
    expect(await reasonOf(authenticate({ user: "u", token: "t" }))).toMatchObject({ smtp_code: 535 });
    expect(tried(server)).toEqual(["XOAUTH2"]);
  });

  test("that fails is the reason, nothing is sent, and the session goes on", async () => {
    const own = new Error("the authorization server is down");
    let fails = true;
    const token = async (): Promise<string> => {
      if (fails) throw own;
      return "t";
    };
    const { server, authenticate } = await open(authServer("XOAUTH2", { XOAUTH2: "235 in" }));
    expect(await reasonOf(authenticate({ user: "u", token }))).toMatchObject({
      name: "SMTPException",
      message: "the token function failed: the authorization server is down",
      cause: own,
    });
    expect(tried(server)).toEqual([]);
    fails = false;
    expect(await authenticate({ user: "u", token })).toEqual([235, "in"]);
  });
});

describe("a single flight", () => {
  test("is shared by the calls that come while it lasts", async () => {
    const landing: ((text: string) => void)[] = [];
    const call = vi.fn(() => new Promise<string>((resolve) => landing.push(resolve)));
    const shared = singleFlight(call);
    const both = [shared(), shared()];
    expect(call).toHaveBeenCalledTimes(1);
    landing[0]?.("first");
    expect(await Promise.all(both)).toEqual(["first", "first"]);
    const next = shared();
    landing[1]?.("second");
    expect(await next).toBe("second");
    expect(call).toHaveBeenCalledTimes(2);
  });

  test("that fails, fails for all, and the next call begins another", async () => {
    const call = vi.fn(async () => "fine");
    call.mockRejectedValueOnce(new Error("no"));
    const shared = singleFlight(call);
    const both = await Promise.allSettled([shared(), shared()]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await shared()).toBe("fine");
  });

  test("that fails at once is a rejection, too", async () => {
    const shared = singleFlight(() => {
      throw new Error("no");
    });
    expect(await reasonOf(shared())).toBeInstanceOf(Error);
  });
});

describe("SCRAM", () => {
  const tls: TlsInfo = {
    protocol: "TLSv1.3",
    cipher: undefined,
    verified: true,
    fingerprint256: undefined,
    group: undefined,
    exporter: (_, length) => new Uint8Array(length).fill(7),
  };

  /** A server that performs SCRAM. */
  function scramServer(offers: string, password: string, peer?: Script["peer"]): Script {
    let scram: ScramServer | undefined;
    let step = 0;
    const respond = (line: string): string => {
      const [, said = line] = /^AUTH \S+ (.*)$/.exec(line) ?? [];
      if (line.startsWith("AUTH")) {
        const [, hash] = /SCRAM-(SHA-\d+)/.exec(line) ?? [];
        if (hash !== "SHA-1" && hash !== "SHA-256" && hash !== "SHA-512") return "535 no";
        scram = new ScramServer({
          hash,
          password,
          ...(line.includes("-PLUS") && { binding: new Uint8Array(32).fill(7) }),
        });
        step = 0;
      }
      if (scram === undefined) return "535 no";
      step++;
      if (step === 1) return `334 ${base64(scram.first(plainly(said)))}`;
      if (step === 2) {
        const final = scram.final(plainly(said));
        step = final.startsWith("v=") ? 2 : 3;
        return `334 ${base64(final)}`;
      }
      return step === 3 && said === "" ? "235 in" : "535 no";
    };
    const on = new Proxy<Record<string, (line: string) => string>>(
      {},
      { get: (_, verb) => (typeof verb === "string" && /^(EHLO|QUIT|NOOP)$/.test(verb) ? undefined : respond) },
    );
    return { ehlo: [`AUTH ${offers}`], on, peer };
  }

  test.each<[offers: string, peer: Script["peer"], taken: string]>([
    ["PLAIN SCRAM-SHA-1 SCRAM-SHA-256", undefined, "SCRAM-SHA-256"],
    ["SCRAM-SHA-256 SCRAM-SHA-512 CRAM-MD5", undefined, "SCRAM-SHA-512"],
    ["SCRAM-SHA-256 SCRAM-SHA-256-PLUS", { tls }, "SCRAM-SHA-256-PLUS"],
    ["SCRAM-SHA-512 SCRAM-SHA-256-PLUS", { tls }, "SCRAM-SHA-512"],
    ["SCRAM-SHA-1 SCRAM-SHA-1-PLUS CRAM-MD5", { tls }, "SCRAM-SHA-1-PLUS"],
    ["SCRAM-SHA-256 SCRAM-SHA-256-PLUS", { tls: { ...tls, exporter: undefined } }, "SCRAM-SHA-256"],
    ["SCRAM-SHA-256 SCRAM-SHA-256-PLUS", undefined, "SCRAM-SHA-256"],
  ])(
    "is preferred, the strongest hash first, with channel binding where it can be: %s",
    async (offers, peer, taken) => {
      const { server, authenticate } = await open(scramServer(offers, "pencil", peer));
      expect(await authenticate({ user: "user", password: "pencil" })).toEqual([235, "in"]);
      expect(tried(server)).toEqual([taken]);
      expect(server.lines.at(-1)).toBe("");
    },
  );

  test("after a refusal makes room for the next, each once, and each tells its reason", async () => {
    const offers = "SCRAM-SHA-1 SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN";
    const { server, authenticate } = await open(scramServer(offers, "pencil", { tls }));
    const error = await reasonOf(authenticate({ user: "user", password: "wrong-secret" }));
    expect(tried(server)).toEqual(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]);
    const reason = { serverError: { status: "invalid-proof" } };
    expect(error).toMatchObject({ causes: [reason, reason, reason, { serverError: undefined }] });
  });

  test("with channel binding only, where there is none, says what is missing", async () => {
    const { authenticate } = await open(
      scramServer("SCRAM-SHA-256-PLUS", "pencil", { tls: { ...tls, exporter: undefined } }),
    );
    expect(await reasonOf(authenticate({ user: "user", password: "pencil" }))).toMatchObject({
      name: "SMTPNotSupportedError",
      message: expect.stringContaining("channel binding"),
    });
  });
});
