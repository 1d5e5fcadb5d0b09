/** The parts of nodemailer's mail that a transport reads, and the delivery that they request. */
import type { DeliveryRequest } from "../facade/delivery.ts";
import { envelopeError } from "./errors.ts";

/** The options of delivery reports, by all names that nodemailer accepts. */
export type DsnOptions = {
  ret?: string | undefined;
  return?: string | undefined;
  envid?: string | undefined;
  id?: string | undefined;
  notify?: string | string[] | undefined;
  recipient?: string | undefined;
  orcpt?: string | undefined;
};

/** An envelope of nodemailer. */
export type Envelope = {
  readonly from?: unknown;
  readonly to?: unknown;
  readonly size?: unknown;
  readonly dsn?: DsnOptions | undefined;
  readonly requireTLSExtensionEnabled?: unknown;
};

/** A mail of nodemailer: its `MailMessage`. */
export type Mail = {
  /** The `Mail` whose `sendMail()` built it; undefined for a mail passed to `send()` directly. */
  readonly mailer?: unknown;
  readonly data: {
    readonly signal?: AbortSignal | undefined;
    readonly dsn?: DsnOptions | undefined;
    readonly requireTLSExtensionEnabled?: boolean | undefined;
  };
  readonly message: {
    getEnvelope(): object;
    messageId(): string;
    createReadStream(): AsyncIterable<Uint8Array | string>;
  };
};

/** The requested delivery of a mail, without its content. */
export type Wanted = Omit<DeliveryRequest, "body" | "signal"> & { readonly wantsDsn: boolean };

/**
 * Reads the envelope.
 * @throws {Error} with the code EENVELOPE
 */
export function wantedBy(mail: Mail): Wanted {
  const envelope: Envelope = mail.message.getEnvelope();
  const from = addressIn(envelope.from);
  const to = [envelope.to ?? []].flat().map(addressIn);
  if (to.length === 0) throw envelopeError("No recipients defined", "API");
  const dsn = dsnOf(mail.data.dsn ?? envelope.dsn);
  const size = Number(envelope.size);
  return {
    from,
    to: dsn.recipient === undefined ? to : to.map((address) => ({ address, ...dsn.recipient })),
    wantsDsn: dsn.recipient !== undefined || dsn.mail !== undefined,
    ...dsn.mail,
    ...(Number.isSafeInteger(size) && size > 0 ? { size } : {}),
    ...(mail.data.requireTLSExtensionEnabled || envelope.requireTLSExtensionEnabled ? { requiretls: true } : {}),
  };
}

/** The same without delivery reports, for a server that does not support them, as in nodemailer. */
export function withoutDsn({ ret: _, envid: __, to, ...rest }: Wanted): Wanted {
  return { ...rest, to: to.map((one) => (typeof one === "string" ? one : one.address)), wantsDsn: false };
}

function addressIn(address: unknown): string {
  const inner = typeof address === "object" && address !== null && "address" in address ? address.address : address;
  return String(inner || "").trim();
}

type Dsn = {
  readonly mail: Pick<DeliveryRequest, "ret" | "envid"> | undefined;
  readonly recipient: { notify?: Notify[]; orcpt?: string } | undefined;
};
type Notify = "NEVER" | "SUCCESS" | "FAILURE" | "DELAY";

const RET = { HDRS: "HDRS", HEADERS: "HDRS", FULL: "FULL", BODY: "FULL" } as const;
const NOTIFY: readonly Notify[] = ["NEVER", "SUCCESS", "FAILURE", "DELAY"];

function dsnOf(dsn: DsnOptions = {}): Dsn {
  const ret = (dsn.ret || dsn.return || "").toUpperCase();
  const envid = dsn.envid || dsn.id;
  const notify = [dsn.notify ?? []].flat().flatMap((one) => one.split(","));
  const orcpt = dsn.recipient || dsn.orcpt;
  const mail = { ...(ret ? { ret: retOf(ret) } : {}), ...(envid ? { envid } : {}) };
  const recipient = {
    ...(notify.length > 0 ? { notify: notify.map(notifyOf) } : {}),
    ...(orcpt ? { orcpt: orcpt.includes(";") ? orcpt : `rfc822;${orcpt}` } : {}),
  };
  return { mail: orNothing(mail), recipient: orNothing(recipient) };
}

function orNothing<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value;
}

function retOf(text: string): "HDRS" | "FULL" {
  if (text === "HDRS" || text === "HEADERS" || text === "FULL" || text === "BODY") return RET[text];
  throw envelopeError(`Invalid DSN ret: ${JSON.stringify(text)}`, "API");
}

function notifyOf(text: string): Notify {
  const found = NOTIFY.find((one) => one === text.trim().toUpperCase());
  if (found !== undefined) return found;
  throw envelopeError(`Invalid DSN notify: ${JSON.stringify(text)}`, "API");
}
