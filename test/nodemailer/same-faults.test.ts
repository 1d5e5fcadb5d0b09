/** Plays each fault to nodemailer's SMTP transport, to its pool, and to ours: their errors and results are the same. */
import { createTransport, type SendMailOptions } from "nodemailer";
import { describe, expect, it } from "vitest";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { certificates } from "../support/certificates.ts";
import { startScriptedServer } from "../support/scripted-server.ts";
import { FAULTS, type Fault, MAIL } from "./faults.ts";
import { TRIED_ONCE } from "./tried-once.ts";

/** The fields of an error and of a result that users read. */
const FIELDS = [
  "code",
  "command",
  "responseCode",
  "response",
  "permanent",
  "timeoutType",
  "originalCode",
  "recipient",
  "accepted",
  "rejected",
  "rejectedErrors",
] as const;

type Fields = { readonly [field in (typeof FIELDS)[number]]?: unknown };

/** A difference of our transport: its fields, and the reason. */
type Difference = { readonly why: string; readonly ours: Fields };

/** The codes of nodemailer's underlying errors are those of Node; on other runtimes `node:net` may report others. */
const IS_NODE = !("Deno" in globalThis || "Bun" in globalThis);
const COMPARED = FIELDS.filter((field) => IS_NODE || field !== "originalCode");

const EAUTH = { code: "EAUTH", command: "API" };
const DIFFERENCES: { readonly [name in keyof typeof FAULTS]?: Difference } = {
  "a greeting that is none": {
    why: "what has no code is no reply; the line is in the message",
    ours: { code: "EPROTOCOL", command: "CONN" },
  },
  "a close before the greeting": {
    why: "nodemailer's pool tells how often it tried, without a command; its SMTP transport answers as ours does",
    ours: { code: "ECONNECTION", command: "CONN" },
  },
  "EHLO and HELO refused": {
    why: "the first refusal that says what is wrong is reported; HELO's is its cause",
    ours: { code: "EPROTOCOL", command: "EHLO", permanent: true, response: "550 no", responseCode: 550 },
  },
  "EHLO refused, and a close": {
    why: "the refusal says why the connection was closed",
    ours: { code: "EPROTOCOL", command: "EHLO", permanent: true, response: "550 5.7.1 no", responseCode: 550 },
  },
  "EHLO refused where TLS is demanded": {
    why: "a refusal of EHLO has one code, whether TLS is demanded or not",
    ours: { code: "EPROTOCOL", command: "EHLO", permanent: true, response: "502 what?", responseCode: 502 },
  },
  "no STARTTLS, which is demanded": {
    why: "what is not offered is not asked for: there is no reply",
    ours: { code: "ETLS", command: "STARTTLS" },
  },
  "STARTTLS and no TLS": {
    why: "text behind the reply to STARTTLS is refused before the handshake",
    ours: { code: "ECONNECTION", command: "CONN" },
  },
  "STARTTLS and a close": {
    why: "the code that Node makes up for it is not known on each runtime",
    ours: { code: "ESOCKET", command: "CONN" },
  },
  "no AUTH": { why: "nodemailer sends without the login that was asked for", ours: EAUTH },
  "AUTH by what nobody knows": {
    why: "nodemailer shows the password to a server that did not offer PLAIN",
    ours: EAUTH,
  },
  "an empty password": {
    why: "the server is asked",
    ours: {
      code: "EAUTH",
      command: "AUTH PLAIN",
      responseCode: 535,
      response: "535 5.7.8 wrong password",
      permanent: true,
    },
  },
  "MAIL answered by what is no reply": {
    why: "what has no code is no reply, and the next line may answer anything: the connection is given up",
    ours: { code: "ECONNECTION", command: "CONN" },
  },
  "the recipient refused by 421": {
    why: "nodemailer answers so without PIPELINING",
    ours: {
      code: "EENVELOPE",
      command: "RCPT TO",
      responseCode: 421,
      response: "421 4.3.2 not now",
      permanent: false,
      rejected: ["charles@example.net"],
      rejectedErrors: [
        {
          code: "EENVELOPE",
          command: "RCPT TO",
          responseCode: 421,
          response: "421 4.3.2 not now",
          permanent: false,
          recipient: "charles@example.net",
        },
      ],
    },
  },
  "LMTP: the message refused for all": {
    why: "nodemailer resolves where nobody gets the message",
    ours: {
      code: "EMESSAGE",
      command: "DATA",
      responseCode: 550,
      response: "550 5.2.1 disabled",
      permanent: true,
      rejected: ["charles@example.net"],
      rejectedErrors: [
        {
          code: "EMESSAGE",
          command: "DATA",
          responseCode: 550,
          response: "550 5.2.1 disabled",
          permanent: true,
          recipient: "charles@example.net",
        },
      ],
    },
  },
  "a recipient beyond ASCII": {
    why: "nodemailer sends octets over 127 to a server that does not take them (RFC 6531 3.1)",
    ours: { code: "EENVELOPE", command: "MAIL FROM" },
  },
};

describe("nodemailer's own transports and ours answer alike", () => {
  it.each(Object.entries<Fault>(FAULTS))("to %s", async (name, fault) => {
    const [smtp, pool, ours] = await played(fault);
    const difference = Object.entries(DIFFERENCES).find(([one]) => one === name)?.[1];
    expect(ours).toEqual(difference?.ours ?? smtp);
    if (difference === undefined) expect(ours).toEqual(pool);
    // An obsolete difference must not be listed.
    else if (IS_NODE) expect(pool).not.toEqual(ours);
  });
});

/** The results of each transport: nodemailer's SMTP transport, its pool, and ours. */
async function played(fault: Fault): Promise<[smtp: Fields, pool: Fields, ours: Fields]> {
  const pairs = await certificates();
  const { script, protocol = "smtp", tls, auth, waits = false, mail = () => MAIL } = fault;
  const server = script && (await startScriptedServer(script(pairs)));
  const host = fault.host ?? (tls === undefined ? "127.0.0.1" : "localhost");
  const where = { host, port: server?.port ?? 1, secure: tls === "implicit" };
  const wait = waits ? 0.3 : 10;
  const theirs = {
    ...where,
    lmtp: protocol === "lmtp",
    ignoreTLS: tls === undefined,
    requireTLS: tls === "required",
    tls: { ca: pairs.ca },
    greetingTimeout: wait * 1000,
    // It runs from the last byte: before the greeting, the other timeout must be the first to expire.
    socketTimeout: wait * 1200,
    ...(auth && { auth: { user: auth.user, pass: auth.password } }),
  };
  const transporters = [
    createTransport(theirs),
    createTransport({ ...theirs, pool: true, maxRequeues: 0 }),
    createTransport(
      smtplib({
        ...where,
        ...TRIED_ONCE,
        protocol,
        ...(tls === "implicit" ? {} : { starttls: tls ?? "never" }),
        context: { ca: pairs.ca },
        timeout: wait,
        auth,
      }),
    ),
  ];
  const outcomes: Fields[] = [];
  for (const transporter of transporters) outcomes.push(await outcomeOf(transporter, mail()));
  await server?.finish();
  const [smtp = {}, pool = {}, ours = {}] = outcomes;
  return [smtp, pool, ours];
}

type Sender = { sendMail(mail: SendMailOptions): Promise<unknown>; close(): unknown };

async function outcomeOf(transporter: Sender, mail: SendMailOptions): Promise<Fields> {
  const outcome: unknown = await transporter.sendMail(mail).catch((error: unknown) => error);
  await transporter.close();
  return fieldsOf(outcome);
}

function fieldsOf(outcome: unknown): Fields {
  const present = COMPARED.filter((field) => Reflect.get(Object(outcome), field) !== undefined);
  const entries = present.map((field): [string, unknown] => {
    const value: unknown = Reflect.get(Object(outcome), field);
    return [field, field === "rejectedErrors" && Array.isArray(value) ? value.map(fieldsOf) : value];
  });
  return Object.fromEntries(entries);
}
