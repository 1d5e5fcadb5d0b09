/** The report of `probe`, which `--json` prints as it is. `docs/probe.schema.json` describes it. */
import type { ExitCode } from "../exit-codes.ts";

/** A reply of the server. */
export type ReplyReport = { readonly code: number; readonly text: string };

/** An address of the host. */
export type AddressReport = {
  readonly address: string;
  readonly outcome: "answered" | "failed" | "given-up" | "not-tried";
  /** How long it took to answer or fail. */
  readonly milliseconds?: number;
  /** The reason of the failure. */
  readonly error?: string;
};

/** An extension that EHLO offers. */
export type ExtensionReport = {
  readonly keyword: string;
  readonly parameters: string;
  readonly meaning: string;
  /** "RFC 1870"; "" where there is none. */
  readonly rfc: string;
};

/** The answer to a greeting command. */
export type OfferReport = {
  readonly over: "clear" | "tls";
  readonly command: "EHLO" | "LHLO" | "HELO";
  /** The server's name for itself. */
  readonly name: string;
  readonly extensions: readonly ExtensionReport[];
};

/** A certificate. */
export type CertificateReport = {
  readonly subject: string;
  readonly issuer: string;
  /** The names and addresses in it. */
  readonly names: readonly string[];
  readonly validFrom: string;
  readonly validUntil: string;
  /** Whole days until it expires; negative if it has. */
  readonly daysLeft: number;
  /** "RSA 2048", "EC prime256v1". */
  readonly key: string;
  readonly fingerprint256: string;
};

/** The TLS session. */
export type TlsReport = {
  readonly by: "implicit" | "starttls";
  readonly protocol?: string;
  readonly cipher?: string;
  readonly group?: string;
  /** Whether a client with the given options accepts the certificate. */
  readonly trusted: boolean;
  /** From the server's own certificate to the authority. */
  readonly chain: readonly CertificateReport[];
};

/** A SASL mechanism that is offered. */
export type MechanismReport = {
  readonly name: string;
  readonly offeredOver: readonly ("clear" | "tls")[];
  readonly meaning: string;
  readonly rfc: string;
  /** Whether it reveals the password or token; null for an unknown mechanism. */
  readonly showsSecret: boolean | null;
  /** Whether this client can use it. */
  readonly supported: boolean;
};

/** The result of testing a claim. */
export type TestReport = {
  readonly claimed: boolean;
  /** Undefined: it was not tested. */
  readonly works?: boolean;
  readonly detail: string;
};

/** The server's requirements before a login or a message; undefined: not known. */
export type DemandReport = {
  readonly tlsBeforeAuth?: boolean;
  readonly tlsBeforeMail?: boolean;
  readonly authBeforeMail?: boolean;
};

/** The requested login. */
export type LoginReport = {
  readonly user?: string;
  readonly mechanism?: string;
  readonly succeeded: boolean;
  readonly text: string;
};

/** A step, and how long it took. */
export type StepReport = { readonly step: string; readonly milliseconds: number };

/** A finding: an "error" prevents mail from being sent, or is a fault of the server; a "warning" may become one. */
export type Finding = {
  /** One of the codes in `docs/cli.md`. */
  readonly code: string;
  readonly severity: "error" | "warning" | "note";
  readonly text: string;
  /** How to fix it. */
  readonly fix?: string;
};

/** The conclusion. */
export type Verdict = {
  readonly outcome: "good" | "faulty" | "unusable" | "later" | "login-refused";
  readonly text: string;
  readonly fix?: string;
};

/** The whole report on a server. */
export type ProbeReport = {
  readonly version: 1;
  readonly server: string;
  readonly protocol: "smtp" | "lmtp";
  readonly addresses: readonly AddressReport[];
  readonly greeting?: ReplyReport;
  readonly offers: readonly OfferReport[];
  readonly tls?: TlsReport;
  readonly mechanisms: readonly MechanismReport[];
  /** The largest message in bytes; undefined: the server announces no limit. */
  readonly sizeLimit?: number;
  readonly demands: DemandReport;
  readonly pipelining?: TestReport;
  readonly chunking?: TestReport;
  readonly login?: LoginReport;
  readonly steps: readonly StepReport[];
  readonly findings: readonly Finding[];
  readonly verdict: Verdict;
  readonly exitCode: ExitCode;
};

/** A report that is being written. */
export type Draft = { -readonly [Key in keyof Omit<ProbeReport, "verdict" | "exitCode">]: ProbeReport[Key] };
