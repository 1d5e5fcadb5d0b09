/**
 * The faults that the tests play to nodemailer's own transports and to ours: a server's script, and the sender's
 * settings.
 */
import { Readable } from "node:stream";
import type { SendMailOptions } from "nodemailer";
import type { Pair } from "../support/certificates.ts";
import {
  type Act,
  type Answers,
  close,
  ehlo,
  inOrder,
  raw,
  reset,
  server,
  stall,
  startTls,
} from "../support/scripted-server.ts";

/** A mail without faults. */
export const MAIL: SendMailOptions = { from: "ada@example.com", to: "charles@example.net", text: "Hi!" };

/** Certificates for the servers with TLS. */
export type Pairs = {
  readonly good: Pair;
  readonly wrongName: Pair;
  readonly selfSigned: Pair;
  readonly expired: Pair;
};

/** A fault, and where it occurs. */
export type Fault = {
  /** The server's script; undefined: nothing listens on the port. */
  readonly script?: ((pairs: Pairs) => Act) | undefined;
  /** How the connection is encrypted. Default: not at all. */
  readonly tls?: "required" | "opportunistic" | "implicit";
  readonly protocol?: "smtp" | "lmtp";
  readonly auth?: { readonly user: string; readonly password: string };
  /** The host, if it is not the server's. */
  readonly host?: string;
  /** True if a timeout must expire. */
  readonly waits?: boolean;
  /** The mail; made for each transport, since a stream can be read once. */
  readonly mail?: () => SendMailOptions;
};

const PASSWORD = { user: "user", password: "secret" };
const TWO = { ...MAIL, to: ["never@example.net", "later@example.net"] };

/** A friendly server, except for these answers. */
const says = (answers: Answers): Pick<Fault, "script"> => ({ script: () => server(answers) });
/** A server that offers AUTH. */
const logsIn = (mechanisms: string, answers: Answers): Fault => ({
  script: () => server({ EHLO: ehlo(`AUTH ${mechanisms}`), ...answers }),
  auth: PASSWORD,
});
/** A server that offers STARTTLS, and uses TLS with this certificate. */
const encrypts = (which: keyof Pairs): Fault => ({
  script: (pairs) => server({ EHLO: ehlo("STARTTLS"), STARTTLS: ["220 ready", startTls(pairs[which]), server()] }),
  tls: "required",
});
const lmtp = (answers: Answers, mail: SendMailOptions = MAIL): Fault => ({
  ...says(answers),
  protocol: "lmtp",
  mail: () => mail,
});

const failing = (): Readable =>
  new Readable({
    read() {
      this.destroy(Object.assign(new Error("the disk is gone"), { code: "EIO" }));
    },
  });

/** The faults, by name. */
export const FAULTS = {
  "a greeting of 421": { script: () => ["421 4.3.2 not now", close] },
  "a greeting of 554": { script: () => server({}, "554 5.3.2 closed") },
  "a greeting of 450": { script: () => server({}, "450 later") },
  "a greeting that is none": { script: () => ["SSH-2.0-OpenSSH_9.6", stall] },
  "a close before the greeting": { script: () => [close] },
  "a reset before the greeting": { script: () => [reset] },
  "no greeting": { script: () => [stall], waits: true },
  "a greeting without its end": { script: () => [raw("554 5.7.1 go away"), close] },
  "EHLO answered by 421": says({ EHLO: ["421 4.3.2 not now", close] }),
  "EHLO and HELO refused": says({ EHLO: "550 no", HELO: "550 5.7.1 no again" }),
  "EHLO refused, HELO by 421": says({ EHLO: "502 what?", HELO: ["421 4.3.2 not now", close] }),
  "EHLO refused, and a close": says({ EHLO: ["550 5.7.1 no", close] }),
  "EHLO refused where TLS is demanded": { ...says({ EHLO: "502 what?" }), tls: "required" },
  "EHLO never answered": { ...says({ EHLO: stall }), waits: true },
  "a close instead of EHLO's reply": says({ EHLO: close }),
  "LHLO refused": lmtp({ LHLO: "550 5.7.1 no" }),
  "no STARTTLS, which is demanded": { ...says({}), tls: "required" },
  "STARTTLS refused for now": { ...says({ EHLO: ehlo("STARTTLS"), STARTTLS: "454 4.7.0 not now" }), tls: "required" },
  "STARTTLS refused": { ...says({ EHLO: ehlo("STARTTLS"), STARTTLS: "554 5.7.0 no" }), tls: "required" },
  "STARTTLS and no TLS": {
    ...says({ EHLO: ehlo("STARTTLS"), STARTTLS: ["220 ready", "this is not TLS", close] }),
    tls: "required",
  },
  "STARTTLS and a close": { ...says({ EHLO: ehlo("STARTTLS"), STARTTLS: ["220 ready", close] }), tls: "required" },
  "a certificate for another name": encrypts("wrongName"),
  "a certificate that has expired": encrypts("expired"),
  "a certificate that nobody signed": encrypts("selfSigned"),
  "a certificate for another name, from the first byte on": {
    script: (pairs) => [startTls(pairs.wrongName), server()],
    tls: "implicit",
  },
  "a server without TLS where TLS comes first": { script: () => server(), tls: "implicit" },
  "AUTH PLAIN refused": logsIn("PLAIN", { AUTH: "535 5.7.8 wrong password" }),
  "AUTH PLAIN refused for now": logsIn("PLAIN", { AUTH: "454 4.7.0 not now" }),
  "AUTH PLAIN refused by 421": logsIn("PLAIN", { AUTH: ["421 4.7.0 not now", close] }),
  "AUTH PLAIN that is not known": logsIn("PLAIN", { AUTH: "504 5.5.4 what?" }),
  "AUTH PLAIN and a close": logsIn("PLAIN", { AUTH: close }),
  "AUTH LOGIN refused": logsIn("LOGIN", {
    AUTH: "334 VXNlcm5hbWU6",
    "334": inOrder("334 UGFzc3dvcmQ6", "535 5.7.8 no"),
  }),
  "AUTH CRAM-MD5 refused": logsIn("CRAM-MD5", { AUTH: "334 PDFAZXhhbXBsZS5jb20+", "334": "535 5.7.8 no" }),
  "no AUTH": { ...says({}), auth: PASSWORD },
  "AUTH by what nobody knows": logsIn("GSSAPI", { AUTH: "504 5.5.4 what?" }),
  "an empty password": {
    ...logsIn("PLAIN", { AUTH: "535 5.7.8 wrong password" }),
    auth: { user: "user", password: "" },
  },
  "a sender refused": says({ MAIL: "550 5.1.8 no" }),
  "a sender put off": says({ MAIL: "451 4.3.0 later" }),
  "a sender refused by 421": says({ MAIL: ["421 4.3.2 not now", close] }),
  "a close instead of MAIL's reply": says({ MAIL: close }),
  "a reset instead of MAIL's reply": says({ MAIL: reset }),
  "MAIL never answered": { ...says({ MAIL: stall }), waits: true },
  "MAIL answered by what is no reply": says({ MAIL: "yes" }),
  "half a reply to MAIL, and a close": says({ MAIL: [raw("421 4.3.2 not n"), close] }),
  "the recipient refused": says({ RCPT: "550 5.1.1 no such user" }),
  "the recipient put off": says({ RCPT: "450 4.2.0 later" }),
  "the recipient refused by 421": says({ RCPT: ["421 4.3.2 not now", close] }),
  "all recipients refused, one of them for now": {
    ...says({ RCPT: inOrder("550 5.1.1 no such user", "450 4.2.0 later") }),
    mail: () => TWO,
  },
  "one recipient of two refused": {
    ...says({ RCPT: inOrder("550 5.1.1 no such user", "250 ok") }),
    mail: () => TWO,
  },
  "a recipient refused without PIPELINING": says({ EHLO: ehlo(), RCPT: "550 5.1.1 no such user" }),
  "DATA refused": says({ DATA: "554 5.5.1 no" }),
  "DATA put off": says({ DATA: "451 4.3.0 later" }),
  "DATA refused by 421": says({ DATA: ["421 4.3.2 not now", close] }),
  "DATA refused without PIPELINING": says({ EHLO: ehlo(), DATA: "554 5.5.1 no" }),
  "a close instead of DATA's reply": says({ DATA: close }),
  "the message refused": says({ ".": "554 5.7.1 spam" }),
  "the message put off": says({ ".": "452 4.3.1 full" }),
  "the message refused by 421": says({ ".": ["421 4.3.2 not now", close] }),
  "a close instead of the message's reply": says({ ".": close }),
  "a reset instead of the message's reply": says({ ".": reset }),
  "the message never answered": { ...says({ ".": stall }), waits: true },
  "half a reply to the message, and a close": says({ ".": [raw("554 5.7.1 sp"), close] }),
  "a message larger than the server takes": {
    ...says({ EHLO: ehlo("SIZE 100") }),
    mail: () => ({ ...MAIL, envelope: { from: "ada@example.com", to: "charles@example.net", size: 5000 } }),
  },
  "LMTP: the recipient refused": lmtp({ RCPT: "550 5.1.1 no such user" }),
  "LMTP: DATA refused": lmtp({ DATA: "451 4.3.0 later" }),
  "LMTP: the message refused for one of two": lmtp({ ".": "250 ok\r\n550 5.2.1 disabled" }, TWO),
  "LMTP: one refused at RCPT, one with the message": lmtp(
    { RCPT: inOrder("550 5.1.1 no such user", "250 ok"), ".": "250 ok\r\n550 5.2.1 disabled" },
    { ...MAIL, to: [...TWO.to, "third@example.net"] },
  ),
  "LMTP: the message refused for all": lmtp({ ".": "550 5.2.1 disabled" }),
  "nobody at the port": {},
  "a host that there is not": { host: "no-such-host.invalid" },
  "an attachment that cannot be read": {
    ...says({}),
    mail: () => ({ ...MAIL, attachments: [{ content: failing() }] }),
  },
  "an attachment that is not there": {
    ...says({}),
    mail: () => ({ ...MAIL, attachments: [{ path: "/no/such/file" }] }),
  },
  "a signal that was aborted": { ...says({}), mail: () => ({ ...MAIL, signal: AbortSignal.abort(new Error("no")) }) },
  "a signal that is aborted on the way": {
    ...says({ MAIL: stall }),
    mail: () => ({ ...MAIL, signal: AbortSignal.timeout(50) }),
  },
  "no recipients": { ...says({}), mail: () => ({ ...MAIL, to: [] }) },
  "a sender with a line break": {
    ...says({}),
    mail: () => ({ ...MAIL, envelope: { from: "ada@exa\r\nmple.com", to: "charles@example.net" } }),
  },
  "a recipient with an angle bracket": {
    ...says({}),
    mail: () => ({ ...MAIL, envelope: { from: "ada@example.com", to: "charles>@example.net" } }),
  },
  "a wish for reports that there is not": {
    ...says({}),
    mail: () => ({ ...MAIL, dsn: { notify: "sometimes" } }) as SendMailOptions,
  },
  "REQUIRETLS without TLS": { ...says({}), mail: () => ({ ...MAIL, requireTLSExtensionEnabled: true }) },
  "a recipient beyond ASCII": {
    ...says({ EHLO: ehlo("PIPELINING"), RCPT: "553 no" }),
    mail: () => ({ ...MAIL, to: "jürgen@example.net" }),
  },
} satisfies Readonly<Record<string, Fault>>;
