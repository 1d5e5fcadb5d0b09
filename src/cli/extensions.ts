/** The meaning of EHLO's keywords, in a line each, with the RFC. */
import { offerOf } from "../core/index.ts";

/** The description of a keyword. */
export type ExtensionMeaning = { readonly rfc: string; readonly meaning: string };

type Row = { readonly rfc: string; readonly meaning: string | ((parameters: string) => string) };

const ROWS: Readonly<Record<string, Row>> = {
  SIZE: { rfc: "RFC 1870", meaning: (parameters) => sizeMeaning(parameters) },
  PIPELINING: { rfc: "RFC 2920", meaning: "several commands in one write" },
  "8BITMIME": { rfc: "RFC 6152", meaning: "octets over 127 in messages" },
  CHUNKING: { rfc: "RFC 3030", meaning: "messages in counted chunks, by BDAT" },
  BINARYMIME: { rfc: "RFC 3030", meaning: "messages of any octets, by BDAT" },
  SMTPUTF8: { rfc: "RFC 6531", meaning: "addresses and header fields in UTF-8" },
  DSN: { rfc: "RFC 3461", meaning: "delivery reports as the sender wants them" },
  ENHANCEDSTATUSCODES: { rfc: "RFC 2034", meaning: "replies with codes such as 5.1.1" },
  STARTTLS: { rfc: "RFC 3207", meaning: "goes over to TLS on request" },
  REQUIRETLS: { rfc: "RFC 8689", meaning: "messages that only travel over verified TLS" },
  DELIVERBY: { rfc: "RFC 2852", meaning: "delivery within a time, or a report" },
  FUTURERELEASE: { rfc: "RFC 4865", meaning: "messages to be held back until later" },
  "MT-PRIORITY": { rfc: "RFC 6710", meaning: "messages with a priority" },
  RRVS: { rfc: "RFC 7293", meaning: "delivery only if the mailbox has not changed hands" },
  LIMITS: { rfc: "RFC 9422", meaning: (parameters) => limitsMeaning(parameters) },
  AUTH: { rfc: "RFC 4954", meaning: "login" },
  VRFY: { rfc: "RFC 5321", meaning: "asks whether an address exists" },
  EXPN: { rfc: "RFC 5321", meaning: "asks who is on a mailing list" },
  HELP: { rfc: "RFC 5321", meaning: "shows a help text" },
  ETRN: { rfc: "RFC 1985", meaning: "starts the delivery of a queue" },
  ATRN: { rfc: "RFC 2645", meaning: "delivers a queue over this connection" },
  BURL: { rfc: "RFC 4468", meaning: "takes parts of a message from an IMAP server" },
  CHECKPOINT: { rfc: "RFC 1845", meaning: "goes on with a transaction that was cut off" },
  "NO-SOLICITING": { rfc: "RFC 3865", meaning: "wants no unsolicited mail" },
  MTRK: { rfc: "RFC 3885", meaning: "messages that can be tracked" },
  SUBMITTER: { rfc: "RFC 4405", meaning: "who is responsible for a message" },
  CONPERM: { rfc: "RFC 4141", meaning: "converts content with permission" },
  CONNEG: { rfc: "RFC 4141", meaning: "tells what content a recipient can show" },
  UTF8SMTP: { rfc: "RFC 5336", meaning: "an experiment, replaced by SMTPUTF8" },
  XCLIENT: { rfc: "", meaning: "Postfix's: a proxy tells of its client" },
  XFORWARD: { rfc: "", meaning: "Postfix's: a filter tells of the first client" },
  PIPECONNECT: { rfc: "", meaning: "Exim's: a client that has been here before need not wait for the greeting" },
  X_PIPE_CONNECT: { rfc: "", meaning: "Exim's: the same as PIPECONNECT, before it had a name" },
  PRDR: { rfc: "", meaning: "Exim's: a reply for each recipient after the message" },
  VERB: { rfc: "", meaning: "sendmail's: tells what it does meanwhile" },
  ONEX: { rfc: "", meaning: "sendmail's: one message a session; obsolete" },
  "X-ANONYMOUSTLS": { rfc: "", meaning: "Exchange's: TLS between servers without names" },
  "X-EXPS": { rfc: "", meaning: "Exchange's: login between servers" },
  XEXCH50: { rfc: "", meaning: "Exchange's: properties of messages" },
  TURN: { rfc: "RFC 821", meaning: "client and server change places; obsolete" },
  SEND: { rfc: "RFC 821", meaning: "obsolete" },
  SOML: { rfc: "RFC 821", meaning: "obsolete" },
  SAML: { rfc: "RFC 821", meaning: "obsolete" },
};

/** Describes a keyword of EHLO with its parameters. */
export function meaningOf(keyword: string, parameters: string): ExtensionMeaning {
  const { rfc, meaning } = (Object.hasOwn(ROWS, keyword) ? ROWS[keyword] : undefined) ?? {
    rfc: "",
    meaning: "unknown",
  };
  return { rfc, meaning: typeof meaning === "string" ? meaning : meaning(parameters) };
}

/** A readable number of bytes: "10.2 MB". */
export function shownOctets(octets: number): string {
  for (const [unit, size] of UNITS) if (octets >= size) return `${Number((octets / size).toFixed(1))} ${unit}`;
  return `${octets} octets`;
}

const UNITS: readonly [string, number][] = [
  ["GB", 1e9],
  ["MB", 1e6],
  ["kB", 1e3],
];

function sizeMeaning(parameters: string): string {
  const limit = offerOf({ size: parameters }).size?.limit;
  return limit === undefined
    ? "takes the size of messages, and names no limit"
    : `messages of up to ${shownOctets(limit)}`;
}

function limitsMeaning(parameters: string): string {
  const { mailMax, rcptMax, rcptDomainMax } = offerOf({ limits: parameters }).limits ?? {};
  const parts = [
    mailMax === undefined ? "" : `${mailMax} messages a session`,
    rcptMax === undefined ? "" : `${rcptMax} recipients a message`,
    rcptDomainMax === undefined ? "" : `${rcptDomainMax} domains a message`,
  ];
  return `at most ${parts.filter((part) => part !== "").join(", ") || "what it does not say"}`;
}
