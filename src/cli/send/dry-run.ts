/** `--dry-run`: prints the commands for this server with their reasons. Sends nothing of the message. */
import { LMTP, SMTP, type SMTPOptions } from "../../index.ts";
import { recordTranscript, startServer } from "../../testing/index.ts";
import type { Connection } from "../connection.ts";
import type { Credentials } from "../credentials.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { type Surroundings, styled } from "../surroundings.ts";
import type { Envelope } from "./envelope.ts";
import type { OutgoingMessage } from "./message.ts";
import type { Asked, AskedOfRecipients } from "./message-options.ts";
import { reasonsFor } from "./reasons.ts";
import { quietly, runStages } from "./stages.ts";

/** A message that is not to be sent. */
export type Plan = {
  readonly connection: Connection;
  readonly options: SMTPOptions;
  readonly credentials: Credentials | undefined;
  readonly message: OutgoingMessage;
  readonly envelope: Envelope;
  readonly asked: { readonly message: Asked; readonly recipients: AskedOfRecipients };
};

/**
 * Asks the server for its extensions, plays the delivery against a server in memory that offers the same, and prints
 * the commands that the client sent there.
 * @throws {SMTPException} if there is no session, or the server lacks what the message needs
 */
export async function showPlan(plan: Plan, { stdout }: Surroundings): Promise<ExitCode> {
  const { credentials } = plan;
  const smtp = await runStages({ ...plan, credentials }, "tls", () => {});
  const features = { ...smtp.esmtp_features };
  const server = { esmtp: smtp.does_esmtp, features, secure: smtp.peer?.tls !== undefined };
  const { protocol } = smtp.peer?.tls ?? {};
  await quietly(smtp);
  const write = (left: string, reason: string): void => {
    stdout.write(reason === "" ? `${left}\n` : `${left}\n    ${styled(stdout, "dim", reason)}\n`);
  };
  if (server.secure) write(`(${protocol ?? "TLS"})`, "the session is encrypted, and the server verified");
  if (credentials !== undefined) {
    const [line, reason] = authLine(credentials, features["auth"] ?? "");
    write(line, reason);
    // Without the requested login, no message would be sent.
    if (line === NO_LOGIN) return EXIT.login;
  }
  const lines = await linesOf(plan, server);
  for (const { line, joined } of lines) {
    const reasons = reasonsFor(line, { ...plan, features });
    const grouped = joined ? ["leaves in one write with the line before it (PIPELINING)"] : [];
    write(line, [...reasons, ...grouped].join("\n    "));
  }
  return EXIT.ok;
}

const NO_LOGIN = "(no login)";

type Line = { readonly line: string /** Left in one write with the line before it. */; readonly joined: boolean };
type Known = { readonly esmtp: boolean; readonly features: Readonly<Record<string, string>>; readonly secure: boolean };

/** The commands for a server that offers the same, from MAIL up to the content. */
async function linesOf(plan: Plan, server: Known): Promise<Line[]> {
  const transcript = await rehearse(plan, server);
  const lines: Line[] = [];
  let joined = false;
  for (const line of transcript.split("\n")) {
    if (/^# \d+\.\d+ ms$/.test(line)) joined = false;
    const [, command = ""] = /^C: (.*)$/.exec(line) ?? [];
    if (/^(MAIL|RCPT|DATA|BDAT|RSET)\b/.test(command) && !lines.some(isLast)) {
      lines.push({ line: command, joined });
      joined = true;
    }
  }
  return lines;
}

function isLast({ line }: Line): boolean {
  return line === "DATA" || /^BDAT \d+ LAST$/.test(line);
}

/** The transcript of the delivery to a server in memory. */
async function rehearse(plan: Plan, { esmtp, features, secure }: Known): Promise<string> {
  const { asked, connection, envelope, message, options } = plan;
  const extensions = Object.entries(features)
    .filter(([keyword]) => keyword !== "starttls" && keyword !== "auth")
    .map(([keyword, parameters]) => `${keyword.toUpperCase()} ${parameters}`.trim());
  const server = startServer({
    extensions,
    answers: esmtp ? {} : { ehlo: ({ line }) => (line.startsWith("HELO") ? undefined : "500 5.5.1 unknown command") },
  });
  const recording = recordTranscript(server.transport, { times: true, maxContent: 0 });
  const { context: _, source_address: __, ...rest } = options;
  const Client = connection.protocol === "lmtp" ? LMTP : SMTP;
  const smtp = new Client("rehearsal", 25, { ...rest, transport: recording.transport });
  try {
    if (secure) {
      await smtp.ehlo();
      await smtp.starttls();
    }
    const to = envelope.to.map((address) => ({ ...asked.recipients, address }));
    const utf8 = message.utf8Headers ? { smtputf8: true } : {};
    await smtp.deliver({ ...utf8, ...asked.message, from: envelope.from, to, body: message.content() });
  } finally {
    await quietly(smtp);
    await server.close();
  }
  return recording.transcript;
}

function authLine(credentials: Credentials, offered: string): [line: string, reason: string] {
  const names = offered
    .toUpperCase()
    .split(" ")
    .filter((name) => name !== "");
  const known = Object.keys(MECHANISMS).filter((name) => MECHANISMS[name]?.supported === true);
  if (credentials.kind === "mechanism") return [`AUTH ${credentials.mechanism.name} ***`, "as --auth asks for it"];
  const order = credentials.mechanisms ?? known.filter((name) => MECHANISMS[name]?.by === credentials.kind);
  const wanted = order.length === 0 ? known.filter((name) => MECHANISMS[name]?.by === "token") : order;
  const name = wanted.find((one) => names.includes(one));
  if (name === undefined) return [NO_LOGIN, `the server offers ${names.join(", ") || "no login"}: nothing is sent`];
  const why = credentials.mechanisms === undefined ? "the strongest of" : "the first of --auth in";
  return [`AUTH ${name} ***`, `${why} ${names.join(", ")}: ${MECHANISMS[name]?.meaning ?? ""}`];
}
