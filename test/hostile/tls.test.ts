/** STARTTLS and implicit TLS with servers and attackers that try to avoid it (SECURITY.md, rule 3). */
import { expect } from "vitest";
import {
  type SMTP,
  SMTPConnectError,
  SMTPNotSupportedError,
  SMTPResponseException,
  SMTPServerDisconnected,
  SMTPTimeoutError,
  TlsError,
  type TlsOptions,
} from "../../src/index.ts";
import { type Certificates, certificates, fingerprint256, type Pair } from "../support/certificates.ts";
import {
  type Act,
  type Answers,
  callback,
  close,
  converse,
  ehlo,
  inOrder,
  raw,
  reset,
  server,
  stall,
  startTls,
  take,
} from "../support/scripted-server.ts";
import { serverHello } from "../transports/servers.ts";
import { HELLO, type Scenario, scenarios, sendOne, type Thrown } from "./scenario.ts";

const made: Certificates = await certificates();
const OFFERS = ehlo("PIPELINING", "STARTTLS", "XCLEAR");
const SECURED = ehlo("8BITMIME", "AUTH PLAIN", "XSECURE");

/** A server that upgrades with this certificate, and its answers within TLS. */
function upgrading(pair: Pair, answers: Answers = {}, clear: Answers = {}): Act {
  const secure = converse({ EHLO: SECURED, ...answers });
  return server({ EHLO: OFFERS, STARTTLS: ["220 2.0.0 ready", startTls(pair), secure], ...clear });
}

/** A server that uses TLS from the first byte on. */
function implicit(pair: Pair): Act {
  return [startTls(pair), server({ EHLO: SECURED })];
}

const context = (more: TlsOptions = {}): { context: TlsOptions } => ({ context: { ca: made.ca, ...more } });

/**
 * With a `ca`, Deno verifies by its node:tls, which reports the same failure for an invalid period as for an unknown
 * issuer.
 */
const OUT_OF_TIME = "Deno" in globalThis ? "issuer" : "expired";

/** Faults of a certificate. */
const BAD: readonly [name: string, pair: Pair, failure: string, more: TlsOptions][] = [
  ["is for another name", made.wrongName, "name", {}],
  ["is expired", made.expired, OUT_OF_TIME, { servername: "localhost" }],
  ["is not valid yet", made.future, OUT_OF_TIME, { servername: "localhost" }],
  ["is signed by itself", made.selfSigned, "issuer", {}],
  ["is signed by an unknown authority", made.foreign, "issuer", {}],
  ["is not the pinned one", made.good, "fingerprint", { fingerprint256: fingerprint256(made.foreign.cert) }],
  ["is not for the servername asked for", made.good, "name", { servername: "elsewhere.example" }],
];

const nothingInClear = (_: SMTP, { lines, text }: { lines: string[]; text: string }): void => {
  expect(lines.join("\n")).not.toMatch(/AUTH|MAIL/);
  expect(text).not.toMatch(/AUTH|MAIL/);
};

const certificatesRefused: Scenario[] = BAD.flatMap(([name, pair, failure, more]): Scenario[] => [
  {
    name: `STARTTLS with a certificate that ${name}`,
    server: upgrading(pair),
    options: context(more),
    call: (smtp) => smtp.starttls(),
    throws: {
      type: SMTPServerDisconnected,
      temporary: false,
      cause: TlsError,
      fields: { cause: { failure }, delivery: undefined },
    },
    connected: false,
    check: nothingInClear,
  },
  {
    name: `implicit TLS with a certificate that ${name}`,
    client: "SMTP_SSL",
    server: implicit(pair),
    options: context(more),
    call: (smtp) => smtp.noop(),
    throws: {
      type: SMTPConnectError,
      smtp_code: -1,
      temporary: false,
      cause: TlsError,
      fields: { cause: { failure } },
    },
    connected: false,
    check: nothingInClear,
  },
]);

const accepted: Scenario[] = (
  [
    ["a good certificate", made.good, {}],
    ["verification switched off", made.selfSigned, { rejectUnauthorized: false }],
    ["the pinned certificate", made.good, { fingerprint256: fingerprint256(made.good.cert) }],
    [
      "one of two pinned certificates",
      made.good,
      { fingerprint256: [fingerprint256(made.foreign.cert), fingerprint256(made.good.cert)] },
    ],
    ["a certificate for the servername asked for", made.wrongName, { servername: "elsewhere.example" }],
  ] satisfies [string, Pair, TlsOptions][]
).flatMap(([name, pair, more]): Scenario[] => [
  {
    name: `STARTTLS with ${name}`,
    server: upgrading(pair),
    options: context(more),
    call: async (smtp) => {
      await smtp.starttls();
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
    lines: [HELLO, "STARTTLS", "(TLS)", HELLO, /^MAIL/, /^RCPT/, "DATA"],
  },
  {
    name: `implicit TLS with ${name}`,
    client: "SMTP_SSL",
    server: implicit(pair),
    options: context(more),
    gives: {},
    connected: true,
    lines: ["(TLS)", HELLO, /^MAIL/, /^RCPT/, "DATA"],
  },
]);

const injected: Scenario[] = (
  [
    ["a reply", "220 ready\r\n250 injected"],
    ["a whole answer to EHLO", `220 ready\r\n${ehlo("AUTH PLAIN", "XEVIL")}`],
    ["half a reply", raw("220 ready\r\n250")],
    ["a line end", raw("220 ready\r\n\r\n")],
    ["one octet", raw("220 ready\r\nx")],
    ["a NUL", raw("220 ready\r\n\0")],
  ] satisfies [string, Act][]
).map(([name, act]) => ({
  name: `${name} in clear behind the 220 is an attack`,
  server: server({ EHLO: OFFERS, STARTTLS: [act, startTls(made.good), converse({ EHLO: SECURED })] }),
  options: context(),
  call: (smtp) => smtp.starttls(),
  throws: { type: SMTPServerDisconnected, message: /clear text/ },
  connected: false,
  check: (smtp, conversation) => {
    nothingInClear(smtp, conversation);
    expect(conversation.lines).not.toContain("(TLS)");
  },
}));

const refused: Scenario[] = [
  {
    name: "STARTTLS is not offered",
    server: server({ EHLO: ehlo("PIPELINING") }),
    options: context(),
    call: (smtp) => smtp.starttls(),
    throws: { type: SMTPNotSupportedError, fields: { capability: "STARTTLS" } },
    connected: true,
    lines: [HELLO],
  },
  {
    name: "EHLO is refused: no STARTTLS by way of HELO",
    server: server({ EHLO: "502 no" }),
    options: context(),
    call: (smtp) => smtp.starttls(),
    throws: { type: SMTPNotSupportedError, fields: { capability: "STARTTLS" } },
    connected: true,
  },
  ...["454 4.7.0 not now", "501 5.5.4 no", "502 no", "554 no", "250 ok", "354 go", "334 go"].map(
    (reply): Scenario => ({
      name: `STARTTLS is answered with ${reply}`,
      server: server({ EHLO: OFFERS, STARTTLS: reply }),
      options: context(),
      call: (smtp) => smtp.starttls(),
      throws: { type: SMTPResponseException, smtp_code: Number(reply.slice(0, 3)), temporary: reply.startsWith("4") },
      connected: true,
      lines: [HELLO, "STARTTLS"],
    }),
  ),
  {
    name: "STARTTLS is answered with 421",
    server: server({ EHLO: OFFERS, STARTTLS: ["421 bye", close] }),
    options: context(),
    call: (smtp) => smtp.starttls(),
    throws: { type: SMTPResponseException, smtp_code: 421, temporary: true },
    connected: false,
  },
  {
    name: "a second STARTTLS is not sent, even if it is offered in TLS",
    server: upgrading(made.good, { EHLO: ehlo("STARTTLS") }),
    options: context(),
    call: async (smtp) => {
      await smtp.starttls();
      return smtp.starttls();
    },
    throws: { type: SMTPNotSupportedError, message: /already/ },
    connected: true,
    lines: [HELLO, "STARTTLS", "(TLS)", HELLO],
  },
  {
    name: "STARTTLS on an SMTP_SSL session is not sent",
    client: "SMTP_SSL",
    server: [startTls(made.good), server({ EHLO: ehlo("STARTTLS") })],
    options: context(),
    call: (smtp) => smtp.starttls(),
    throws: { type: SMTPNotSupportedError, message: /already/ },
    connected: true,
  },
];

const NO_HANDSHAKE: readonly [name: string, act: Act, throws: Thrown][] = [
  ["closes", close, { type: SMTPServerDisconnected }],
  ["resets", reset, { type: SMTPServerDisconnected }],
  [
    "says text",
    [callback(() => new Promise((r) => setTimeout(r, 20))), "500 what is this", stall],
    { type: SMTPServerDisconnected },
  ],
  [
    "says garbage",
    [callback(() => new Promise((r) => setTimeout(r, 20))), new Uint8Array(300).fill(0xee), stall],
    { type: SMTPServerDisconnected },
  ],
  [
    "sends half a record and closes",
    [callback(() => new Promise((r) => setTimeout(r, 20))), Uint8Array.of(22, 3, 3, 0, 200, 2, 0), close],
    { type: SMTPServerDisconnected },
  ],
  [
    "sends an alert",
    [callback(() => new Promise((r) => setTimeout(r, 20))), Uint8Array.of(21, 3, 1, 0, 2, 2, 70), close],
    { type: SMTPServerDisconnected },
  ],
  ["says nothing", stall, { type: SMTPTimeoutError, phase: "tls", temporary: true }],
];

const handshakes: Scenario[] = NO_HANDSHAKE.flatMap(([name, act, throws]): Scenario[] => [
  {
    name: `a server that ${name} in place of the handshake of STARTTLS`,
    server: server({ EHLO: OFFERS, STARTTLS: ["220 ready", act] }),
    options: { ...context(), timeouts: { tls: 0.3 } },
    call: (smtp) => smtp.starttls(),
    throws,
    connected: false,
    within: 1,
  },
  {
    name: `a server that ${name} in place of the handshake of implicit TLS`,
    client: "SMTP_SSL",
    server: act,
    options: { ...context(), timeouts: { tls: 0.3 } },
    call: (smtp) => smtp.noop(),
    throws: throws.type === SMTPTimeoutError ? throws : { type: SMTPConnectError, smtp_code: -1 },
    connected: false,
    within: 1,
  },
]);

const mixedUp: Scenario[] = [
  {
    name: "SMTP_SSL to a port that speaks plain text",
    client: "SMTP_SSL",
    server: ["220 plain.test ESMTP", stall],
    options: { ...context(), timeouts: { tls: 0.5 } },
    call: (smtp) => smtp.noop(),
    throws: {
      type: SMTPConnectError,
      smtp_code: -1,
      cause: TlsError,
      fields: { cause: { failure: "not-tls" } },
      message: /plain|clear/i,
    },
    connected: false,
  },
  {
    name: "SMTP to a port that speaks TLS",
    server: implicit(made.good),
    options: { timeouts: { greeting: 0.2 } },
    call: (smtp) => smtp.noop(),
    throws: { type: SMTPTimeoutError, phase: "greeting" },
    connected: false,
    within: 0.6,
  },
  {
    name: "an abort in the handshake",
    server: () =>
      server({ EHLO: OFFERS, STARTTLS: ["220 ready", callback(() => abort.abort(new Reason("stop"))), stall] }),
    options: () => {
      abort = new AbortController();
      return { ...context(), signal: abort.signal };
    },
    call: (smtp) => smtp.starttls(),
    throws: { type: Error, message: /stop/ },
    connected: false,
    within: 0.5,
  },
  {
    name: "close() in the handshake",
    server: server({ EHLO: OFFERS, STARTTLS: ["220 ready", stall] }),
    options: context(),
    call: (smtp) => {
      setTimeout(() => smtp.close(), 60);
      return smtp.starttls();
    },
    throws: { type: SMTPServerDisconnected },
    connected: false,
    within: 0.6,
  },
  {
    name: "no handshake at all after a refusal: what follows goes in clear only because the caller says so",
    server: server({ EHLO: OFFERS, STARTTLS: "454 not now" }),
    options: context(),
    call: async (smtp) => {
      await smtp.starttls().catch(() => {});
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
  },
  {
    name: "after a failed handshake nothing goes out in clear",
    server: upgrading(made.expired),
    options: context(),
    call: async (smtp) => {
      await smtp.starttls().catch(() => {});
      return sendOne(smtp);
    },
    throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
    connected: false,
    check: nothingInClear,
  },
  {
    name: "nothing that was learnt in clear survives TLS",
    server: upgrading(made.good),
    options: context(),
    call: async (smtp) => {
      await smtp.ehlo();
      const before = [smtp.does_esmtp, smtp.has_extn("XCLEAR")];
      await smtp.starttls();
      const between = [smtp.does_esmtp, Object.keys(smtp.esmtp_features), smtp.ehlo_resp, smtp.helo_resp];
      await smtp.ehlo();
      return { before, between, after: Object.keys(smtp.esmtp_features) };
    },
    gives: {
      before: [true, true],
      between: [false, [], undefined, undefined],
      after: ["8bitmime", "auth", "xsecure"],
    },
    connected: true,
  },
  {
    name: "PIPELINING that was offered in clear only is not used in TLS",
    server: upgrading(made.good),
    options: context(),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.starttls();
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
    check: (_, { pipelined }) => expect(pipelined).toEqual([]),
  },
  {
    name: "a login is refused in clear after STARTTLS was stripped from EHLO, where others can read",
    server: server({ EHLO: ehlo("AUTH PLAIN") }),
    options: context(),
    call: (smtp) => smtp.starttls().then(() => smtp.login("tim", "secret")),
    throws: { type: SMTPNotSupportedError },
    connected: true,
    check: nothingInClear,
  },
  {
    name: "a login over TLS",
    server: upgrading(made.good, { AUTH: "235 ok" }),
    options: context(),
    call: async (smtp) => {
      await smtp.starttls();
      return smtp.login("tim", "secret");
    },
    gives: [235, "ok"],
    connected: true,
    check: (_, { lines }) => expect(lines.indexOf("(TLS)")).toBeLessThan(lines.findIndex((l) => l.startsWith("AUTH"))),
  },
  {
    name: "calls queued behind starttls() wait for TLS",
    server: upgrading(made.good),
    options: context(),
    call: (smtp) => Promise.all([smtp.starttls(), sendOne(smtp), smtp.noop()]).then(() => "done"),
    gives: "done",
    connected: true,
    lines: [HELLO, "STARTTLS", "(TLS)", HELLO, /^MAIL/, /^RCPT/, "DATA", "NOOP"],
  },
  {
    name: "calls queued behind a starttls() that fails are all settled, and send nothing",
    server: upgrading(made.wrongName),
    options: context(),
    call: async (smtp) => {
      const names = [smtp.starttls(), sendOne(smtp), smtp.login("u", "p"), smtp.noop()].map((call) =>
        call.then(
          () => "ok",
          (error: Error) => error.name,
        ),
      );
      return Promise.all(names);
    },
    gives: Array.from({ length: 4 }, () => "SMTPServerDisconnected"),
    connected: false,
    check: nothingInClear,
  },
  ...[close, reset].map(
    (act, i): Scenario => ({
      name: `a TLS session that is ${i === 0 ? "closed without close_notify" : "reset"} inside of the last reply`,
      server: upgrading(made.good, {
        ".": [raw("250 2.0.0 que"), callback(() => new Promise((r) => setTimeout(r, 20))), act],
      }),
      options: context(),
      call: async (smtp) => {
        await smtp.starttls();
        return sendOne(smtp);
      },
      throws: { type: SMTPServerDisconnected, delivery: "unknown", temporary: true },
      connected: false,
    }),
  ),
  {
    name: "a server that stalls in TLS",
    server: upgrading(made.good, { MAIL: stall }),
    options: { ...context(), timeouts: { envelope: 0.1 } },
    call: async (smtp) => {
      await smtp.starttls();
      return sendOne(smtp);
    },
    throws: { type: SMTPTimeoutError, phase: "envelope", delivery: "not-sent" },
    connected: false,
  },
  {
    name: "surplus in TLS ends the session as it does in clear",
    server: upgrading(made.good, { NOOP: inOrder("250 one\r\n250 two") }),
    options: context(),
    call: async (smtp) => {
      await smtp.starttls();
      await smtp.noop();
      return smtp.noop();
    },
    throws: { type: SMTPServerDisconnected },
    connected: false,
  },
];

class Reason extends Error {}
let abort = new AbortController();

/** Servers with old software. */
const old: Scenario[] = [
  {
    name: "a server that picks TLS 1.1",
    server: server({ EHLO: OFFERS, STARTTLS: ["220 ready", take(50), serverHello(2), stall] }),
    options: context(),
    call: (smtp) => smtp.starttls(),
    throws: { type: SMTPServerDisconnected },
    connected: false,
    check: nothingInClear,
  },
  {
    name: "a server that knows TLS 1.2 at most, and a client that wants 1.3",
    server: server({
      EHLO: OFFERS,
      STARTTLS: ["220 ready", startTls(made.good, { maxVersion: "TLSv1.2" }), converse()],
    }),
    options: context({ minVersion: "TLSv1.3" }),
    call: (smtp) => smtp.starttls(),
    throws: { type: SMTPServerDisconnected },
    connected: false,
    check: nothingInClear,
  },
  {
    name: "a server that knows TLS 1.2 at most",
    server: server({
      EHLO: OFFERS,
      STARTTLS: ["220 ready", startTls(made.good, { maxVersion: "TLSv1.2" }), converse({ EHLO: SECURED })],
    }),
    options: context(),
    call: async (smtp) => {
      await smtp.starttls();
      return smtp.peer?.tls?.protocol;
    },
    gives: "TLSv1.2",
    connected: true,
  },
];

scenarios("tls: certificates", [...certificatesRefused, ...accepted]);
scenarios("tls: injection", injected);
scenarios("tls: refused", refused);
scenarios("tls: handshake", handshakes);
scenarios("tls: session", mixedUp);
scenarios("tls: versions", old);
