/** `smtplib send`: sends a message, and reports its outcome by the exit code. */
import type { PoolOptions, SMTPOptions } from "../../index.ts";
import { Arguments, type OptionTable } from "../arguments.ts";
import { CONNECTION_OPTIONS, type Connection, connectionOf, ownTransport, smtpOptions } from "../connection.ts";
import { type Credentials, credentialsOf, LOGIN_OPTIONS, poolAuth } from "../credentials.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-codes.ts";
import { COMMON_OPTIONS, type CommandDescription } from "../help.ts";
import type { Surroundings } from "../surroundings.ts";
import { TRACE_OPTIONS, Trace } from "../trace.ts";
import { exposedArguments, hideArguments, warnOfExposure } from "../warnings.ts";
import { showPlan } from "./dry-run.ts";
import { ENVELOPE_OPTIONS, envelopeOf } from "./envelope.ts";
import { interruptible } from "./interruptible.ts";
import { messageOf, type OutgoingMessage, SOURCE_OPTIONS } from "./message.ts";
import { askedOfMessage, askedOfRecipients, MESSAGE_OPTIONS } from "./message-options.ts";
import { tlsModeOf } from "./policy.ts";
import { printOutcomes, printStage } from "./print.ts";
import { sendAll } from "./sending.ts";
import { quietly, runStages, STAGES, tryEnvelope } from "./stages.ts";

const SENDING_OPTIONS: OptionTable = {
  pipelining: { value: "MODE", help: "on, off or eager" },
  chunking: { value: "MODE", help: "on, off or auto: send messages by BDAT" },
  "eight-bit": { value: "MODE", help: "refuse or send octets over 127 where the server lacks 8BITMIME" },
  repeat: { value: "N", help: "send the message N times" },
  connections: { value: "N", help: "send over up to N connections" },
  rate: { value: "M/SECONDS", help: "at most M messages in so many seconds" },
  "reconnect-for": { value: "SECONDS", help: "the time for which to retry a connection. Default: 0" },
  "stop-after": { value: "STAGE", help: "end after connect, ehlo, tls, auth, mail or rcpt, and send no message" },
  "dry-run": { help: "print the commands for this server and the reasons for them" },
};

/** The description of the command. */
export const SEND: CommandDescription = {
  name: "send",
  summary: "Sends a message, and reports the outcome",
  usage: [
    "send FILE|- --server HOST[:PORT]|URL [OPTIONS]",
    "send --from ADDRESS --to ADDRESS --subject TEXT --text TEXT --server … [OPTIONS]",
  ],
  options: {
    Server: {
      server: { value: "HOST[:PORT]|URL", help: "the server. Default: the environment variable SMTP_URL" },
      ...CONNECTION_OPTIONS,
    },
    Login: LOGIN_OPTIONS,
    Envelope: ENVELOPE_OPTIONS,
    Message: SOURCE_OPTIONS,
    "Asked of the server": MESSAGE_OPTIONS,
    Sending: SENDING_OPTIONS,
    Output: {
      json: { help: "print the outcome as JSON" },
      quiet: { short: "q", help: "print nothing but errors" },
      ...TRACE_OPTIONS,
      ...COMMON_OPTIONS,
    },
  },
  notes: [
    "Exit codes: 0 accepted, 65 rejected for good, 69 no server, 75 try later, 76 the server cannot do it, 77 login refused,",
    "79 unknown (sending it again might make two), 80 some recipients refused.",
  ],
};

/** Runs it. */
export async function runSend(args: readonly string[], around: Surroundings): Promise<ExitCode> {
  const given = new Arguments(args, Object.values(SEND.options));
  const [server, argument] = serverOf(given, around);
  const last = given.choice("stop-after", STAGES);
  given.atMostOneOf("stop-after", "dry-run", "repeat");
  given.atMostOneOf("stop-after", "dry-run", "json");
  // Checked before anything that takes time, such as reading the message from standard input.
  const exposed = exposedArguments(given);
  hideArguments(exposed);
  const sending = sendingOptions(given);
  const asked = { message: askedOfMessage(given), recipients: askedOfRecipients(given) };
  const connection = await connectionOf(given, server, argument);
  const needsEnvelope = last === undefined || last === "mail" || last === "rcpt";
  const message = last === undefined ? await messageOf(given, around) : undefined;
  const envelope = needsEnvelope ? envelopeOf(given, message?.header ?? NO_HEADER) : undefined;
  const credentials = await credentialsOf(given, connection, around);
  warnOfExposure(exposed, around);
  const trace = new Trace(given, around, ["trace-html"]);
  const options = await clientOptions(given, connection, sending, trace, around);
  const job: Job = { given, around, connection, credentials, options, sending };
  return await trace.during(async () => {
    if (last !== undefined) return await stopAfter(job, last, envelope, asked);
    if (message === undefined || envelope === undefined) throw new UsageError("FILE", "is missing");
    if (given.has("dry-run")) return await showPlan({ ...job, message, envelope, asked }, around);
    return await send(job, message, envelope, asked);
  });
}

/** A command that is ready to run. */
type Job = {
  readonly given: Arguments;
  readonly around: Surroundings;
  readonly connection: Connection;
  readonly credentials: Credentials | undefined;
  readonly options: SMTPOptions;
  readonly sending: SendingOptions;
};

type Wanted = {
  readonly message: ReturnType<typeof askedOfMessage>;
  readonly recipients: ReturnType<typeof askedOfRecipients>;
};

type SendingOptions = Pick<SMTPOptions, "pipelining" | "chunking" | "eightBit"> & {
  readonly pool: Pick<PoolOptions, "maxConnections" | "rateLimit" | "reconnectFor">;
  readonly repeat: number;
};

const NO_HEADER = { sender: () => undefined, recipients: () => [] };

function serverOf(args: Arguments, { env }: Surroundings): [text: string, argument: string] {
  const text = args.text("server");
  if (text !== undefined) return [text, "--server"];
  const url = env["SMTP_URL"];
  if (url !== undefined && url !== "") return [url, "SMTP_URL"];
  throw new UsageError("--server", "is missing, and so is SMTP_URL");
}

function sendingOptions(args: Arguments): SendingOptions {
  const pipelining = args.choice("pipelining", ["on", "off", "eager"]);
  const chunking = args.choice("chunking", ["on", "off", "auto"]);
  const eightBit = args.choice("eight-bit", ["refuse", "send"]);
  const rate = args.text("rate");
  return {
    ...(pipelining === undefined ? {} : { pipelining: pipelining === "eager" ? pipelining : pipelining === "on" }),
    ...(chunking === undefined || chunking === "auto" ? {} : { chunking: chunking === "on" }),
    ...(eightBit === undefined ? {} : { eightBit }),
    pool: {
      maxConnections: args.number("connections", 1, 1_000) ?? 1,
      reconnectFor: args.number("reconnect-for", 0, 86_400, "any") ?? 0,
      ...(rate === undefined ? {} : { rateLimit: rateOf(rate) }),
    },
    repeat: args.number("repeat", 1, 10_000_000) ?? 1,
  };
}

function rateOf(text: string): NonNullable<PoolOptions["rateLimit"]> {
  const [, messages, seconds = "1"] = /^(\d{1,9})(?:\/(\d{1,9}(?:\.\d+)?))?$/.exec(text) ?? [];
  if (Number(messages) > 0 && Number(seconds) > 0) return { messages: Number(messages), seconds: Number(seconds) };
  throw new UsageError("--rate", `must be MESSAGES/SECONDS, as in 10/60: ${JSON.stringify(text)}`);
}

async function clientOptions(
  args: Arguments,
  connection: Connection,
  { pool: _, repeat: __, ...sending }: SendingOptions,
  trace: Trace,
  { signal }: Surroundings,
): Promise<SMTPOptions> {
  const observed = trace.isOn ? { transport: trace.observe(await ownTransport(connection)) } : {};
  const through = connection.transport === undefined ? {} : { transport: connection.transport };
  const insecure = args.has("allow-insecure-auth") ? { allowInsecureAuth: true } : {};
  return { ...smtpOptions(connection), ...through, ...observed, ...insecure, ...sending, signal };
}

async function stopAfter(
  { around, connection, credentials, given, options }: Job,
  last: (typeof STAGES)[number],
  envelope: ReturnType<typeof envelopeOf> | undefined,
  asked: Wanted,
): Promise<ExitCode> {
  const onReply: Parameters<typeof tryEnvelope>[3] = (reply) => {
    if (!given.has("quiet")) printStage(reply, around.stdout);
  };
  const before = last === "mail" || last === "rcpt" ? "auth" : last;
  const smtp = await runStages({ connection, options, credentials }, before, onReply);
  try {
    if (envelope === undefined) return EXIT.ok;
    return await tryEnvelope(smtp, envelope, { ...asked, last }, onReply);
  } finally {
    await quietly(smtp);
  }
}

async function send(
  { around, connection, credentials, given, options, sending }: Job,
  message: OutgoingMessage,
  envelope: ReturnType<typeof envelopeOf>,
  asked: Wanted,
): Promise<ExitCode> {
  const { endpoint, protocol } = connection;
  const { repeat } = sending;
  if (repeat > 1 && message.isStream)
    throw new UsageError("--repeat", "cannot stand beside a message of more than 8 MiB");
  const mode = tlsModeOf(connection, credentials !== undefined);
  const { signal, stderr } = around;
  const { signal: _, ...session } = options;
  const pool = {
    ...session,
    transport: interruptible(options.transport ?? (await ownTransport(connection)), signal),
    ...sending.pool,
    ...("path" in endpoint ? { host: endpoint.path } : endpoint),
    protocol,
    secure: mode === "implicit",
    ...(mode === "implicit" ? {} : { starttls: mode }),
    ...(credentials === undefined ? {} : { auth: poolAuth(credentials) }),
  };
  const job = { pool, message, envelope, asked: asked.message, askedOfRecipients: asked.recipients, repeat, signal };
  const outcomes = await sendAll({ ...job, progress: stderr });
  return printOutcomes(outcomes, given, around);
}
