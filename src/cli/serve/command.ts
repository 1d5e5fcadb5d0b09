/** `smtplib serve`: a test mail server that refuses messages and fails on request. */
import { mkdtemp } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import type { Answers, TestMessage, TestServerOptions } from "../../testing/index.ts";
import { usualExtensions } from "../../testing/server.ts";
import { Arguments, type OptionTable } from "../arguments.ts";
import { checkPair } from "../connection.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-codes.ts";
import { readText, reasonOf, writeText } from "../files.ts";
import { COMMON_OPTIONS, type CommandDescription } from "../help.ts";
import { type Surroundings, styled } from "../surroundings.ts";
import { printable } from "../text.ts";
import { PICTURE_OPTION, pictureFile, TRACE_OPTIONS, tracePrinter } from "../trace.ts";
import { exposedArguments, hideArguments, warnOfExposure } from "../warnings.ts";
import { makeCertificate, type ServerCertificate } from "./certificate.ts";
import { type Destinations, Disposal } from "./disposal.ts";
import { Forwarder } from "./forward.ts";
import { History } from "./history.ts";
import { MailServer } from "./mail-server.ts";
import { answersOf, parseScript, type Script } from "./script.ts";
import { MessageStore, STORE_FORMATS } from "./store.ts";
import { startUi, type Ui } from "./ui/server.ts";

const LISTENING: OptionTable = {
  port: { value: "PORT", short: "p", help: "the port to listen on; 0 for a free one. Default: 2525" },
  host: { value: "ADDRESS", help: "the address to listen on. Default: 127.0.0.1" },
  lmtp: { help: "LMTP instead of SMTP" },
  tls: { help: "TLS from the first byte on" },
  starttls: { help: "offer STARTTLS" },
  cert: { value: "FILE", help: "the certificate, in PEM. Default: a generated one" },
  key: { value: "FILE", help: "its private key, in PEM" },
  "ca-file": { value: "FILE", help: "the file for the authority of a generated certificate" },
};

const BEHAVIOUR: OptionTable = {
  name: { value: "NAME", help: "the host name of the server" },
  extension: {
    value: "LINE",
    multiple: true,
    help: "a line of the reply to EHLO, instead of the default ones: --extension 'SIZE 1000'",
  },
  auth: {
    value: "USER:PASSWORD",
    multiple: true,
    help: "require a login with these credentials; any: with any credentials",
  },
  "auth-file": { value: "FILE", help: "a file with such credentials, one pair a line" },
  script: { value: "FILE", help: "the replies and faults, as JSON" },
};

const MESSAGES: OptionTable = {
  store: { value: "DIR", help: "keep the messages in this folder" },
  "store-format": { value: "FORMAT", help: "eml, the default, or maildir" },
  forward: { value: "URL", help: "relay each message to this server and return its reply" },
  ui: { value: "PORT", optional: true, help: "show sessions and messages live on a web page" },
};

/** The description of the command. */
export const SERVE: CommandDescription = {
  name: "serve",
  summary: "Runs a test mail server that refuses messages and fails on request",
  usage: ["serve [--port 2525] [--starttls] [--auth USER:PASSWORD] [--script FILE] [--ui] [OPTIONS]"],
  options: {
    Listening: LISTENING,
    Behaviour: BEHAVIOUR,
    Messages: MESSAGES,
    Output: {
      json: { help: "print a line of JSON for each message" },
      ...TRACE_OPTIONS,
      ...PICTURE_OPTION,
      ...COMMON_OPTIONS,
    },
  },
  notes: ["For tests only: do not expose it to the internet. Ctrl-C stops it."],
};

/** The number of messages and of sessions that are kept in memory. */
const KEPT = 1_000;

/** Runs it, until the signal fires. */
export async function runServe(args: readonly string[], around: Surroundings): Promise<ExitCode> {
  const given = new Arguments(args, Object.values(SERVE.options));
  const [operand] = given.operands;
  if (operand !== undefined) throw new UsageError(JSON.stringify(operand), "is one argument too many");
  given.atMostOneOf("tls", "starttls");
  const accounts = given.texts("auth").some((text) => text !== "any") ? ["--auth"] : [];
  const exposed = [...accounts, ...exposedArguments(given)];
  hideArguments(exposed);
  const picture = pictureFile(given);
  const onError = (error: unknown): void =>
    around.stderr.write(`${styled(around.stderr, "red", "error")}: ${reasonOf(error)}\n`);
  const wanted = await wantedOf(given, onError);
  warnOfExposure(exposed, around);
  const history = new History(KEPT);
  const server = await MailServer.start({
    ...wanted,
    history,
    onLine: given.has("trace") ? tracePrinter(around.stderr) : () => {},
    onError,
  });
  let ui: Ui | undefined;
  try {
    ui = given.has("ui") ? await startUi(history, given.number("ui", 0, 65_535) ?? 0) : undefined;
    announce(given, server, wanted, ui, around);
    await takeMessages(server, history, given, around);
  } finally {
    await server.close();
    await ui?.close();
    await wanted.forwarder?.close();
  }
  await picture?.(history.sessions.map(({ transcript }) => transcript()).join("\n"));
  return EXIT.ok;
}

/** The settings from the arguments. */
type Wanted = {
  readonly host: string;
  readonly port: number;
  readonly implicitTls: boolean;
  readonly certificate: ServerCertificate | undefined;
  /** The file with the authority, if one was made. */
  readonly caFile: string | undefined;
  readonly forwarder: Forwarder | undefined;
  readonly behaviour: TestServerOptions;
};

async function wantedOf(given: Arguments, onError: (error: unknown) => void): Promise<Wanted> {
  const host = given.text("host") ?? "127.0.0.1";
  const hasTls = given.has("tls") || given.has("starttls");
  const unused = hasTls ? undefined : ["cert", "key", "ca-file"].find((name) => given.has(name));
  if (unused !== undefined) throw new UsageError(`--${unused}`, "needs --tls or --starttls");
  const { certificate, caFile } = hasTls ? await certificateOf(given, host) : {};
  const script = given.text("script");
  const rules = script === undefined ? undefined : parseScript(await readText("--script", script));
  const folder = given.text("store");
  const format = given.choice("store-format", STORE_FORMATS);
  if (format !== undefined && folder === undefined) throw new UsageError("--store-format", "needs --store");
  const store = folder === undefined ? undefined : await MessageStore.open(folder, format ?? "eml");
  const forward = given.text("forward");
  const forwarder = forward === undefined ? undefined : new Forwarder(forward);
  const accounts = await accountsOf(given);
  const name = given.text("name");
  if (name !== undefined && !/^[!-~]+$/.test(name))
    throw new UsageError("--name", "must be a name of ASCII without spaces");
  const extensions = given.has("extension") ? given.texts("extension") : usualExtensions;
  if (!extensions.every((line) => /^[a-z\d][a-z\d-]*(?: [!-~]+)*$/i.test(line))) {
    throw new UsageError("--extension", "must be a keyword of EHLO with its parameters, as in SIZE 1000");
  }
  const behaviour: TestServerOptions = {
    protocol: given.has("lmtp") ? "lmtp" : "smtp",
    starttls: given.has("starttls") ? "offered" : "absent",
    keep: KEPT,
    answers: answersWith(rules, { store, forwarder, sizeLimit: sizeLimitIn(extensions), onError }),
    extensions,
    ...(name === undefined ? {} : { name }),
    ...(accounts === undefined ? {} : { auth: accounts }),
  };
  const port = given.number("port", 0, 65_535) ?? 2525;
  return { host, port, implicitTls: given.has("tls"), certificate, caFile, forwarder, behaviour };
}

async function certificateOf(
  given: Arguments,
  host: string,
): Promise<{ readonly certificate: ServerCertificate; readonly caFile: string | undefined }> {
  const [cert, key] = [given.text("cert"), given.text("key")];
  if ((cert === undefined) !== (key === undefined)) throw new UsageError("--cert", "and --key go together");
  if (cert !== undefined && key !== undefined) {
    given.atMostOneOf("cert", "ca-file");
    const pair = { cert: await readText("--cert", cert), key: await readText("--key", key) };
    checkPair(pair.cert, pair.key);
    return { certificate: { ...pair, ca: "" }, caFile: undefined };
  }
  const certificate = makeCertificate([...new Set(["localhost", "127.0.0.1", "::1", hostname(), host])]);
  const caFile = given.text("ca-file") ?? join(await mkdtemp(join(tmpdir(), "smtplib-serve-")), "ca.pem");
  await writeText("--ca-file", caFile, certificate.ca);
  return { certificate, caFile };
}

async function accountsOf(given: Arguments): Promise<TestServerOptions["auth"]> {
  const file = given.text("auth-file");
  const lines = file === undefined ? [] : (await readText("--auth-file", file)).split(/\r?\n/);
  const texts = lines.filter((line) => line !== "");
  if (file !== undefined && texts.length === 0) throw new UsageError("--auth-file", `${file} names nobody`);
  if (given.texts("auth").includes("any") || texts.includes("any")) return "any";
  const named = given.texts("auth").map((text) => accountIn(text, "--auth"));
  const accounts = new Map([...named, ...texts.map((text) => accountIn(text, "--auth-file"))]);
  return accounts.size === 0 ? undefined : (user, password) => accounts.get(user) === password;
}

function accountIn(text: string, argument: string): [user: string, password: string] {
  const at = text.indexOf(":");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(argument, "must be USER:PASSWORD, or any");
}

/** The answers: those of the script, and at the end of a message the result of forwarding and storing it. */
function answersWith(script: Script | undefined, destinations: Destinations): Answers {
  const rules: Script = script ?? (() => undefined);
  const disposal = new Disposal(rules, destinations);
  return { ...answersOf(rules), message: (context) => disposal.answer(context) };
}

/** The limit that EHLO announces, in bytes; 0 without one. */
function sizeLimitIn(extensions: readonly string[]): number {
  const [, limit = "0"] = extensions.map((line) => /^SIZE (\d+)$/i.exec(line)).find((found) => found !== null) ?? [];
  return Number(limit);
}

function announce(
  given: Arguments,
  server: MailServer,
  { behaviour, caFile, host, implicitTls }: Wanted,
  ui: Ui | undefined,
  { stdout }: Surroundings,
): void {
  const { port } = server;
  const protocol = behaviour.protocol ?? "smtp";
  if (given.has("json")) {
    const listening = { host, port, protocol, ...(caFile === undefined ? {} : { ca: caFile }) };
    stdout.write(`${JSON.stringify({ listening, ...(ui === undefined ? {} : { ui: ui.url }) })}\n`);
    return;
  }
  const how = implicitTls ? " with TLS" : behaviour.starttls === "offered" ? " with STARTTLS" : "";
  stdout.write(`listening on ${host.includes(":") ? `[${host}]` : host}:${port}: ${protocol.toUpperCase()}${how}\n`);
  if (caFile !== undefined) stdout.write(`its authority: ${caFile}\n`);
  if (ui !== undefined) stdout.write(`its page: ${ui.url}\n`);
}

async function takeMessages(
  { messages }: MailServer,
  history: History,
  given: Arguments,
  { signal, stdout }: Surroundings,
): Promise<void> {
  for (;;) {
    let message: TestMessage;
    try {
      message = await messages.next({ signal });
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    const { id } = history.addMessage(message);
    const { connection: session, content, from, secure, to, user } = message;
    if (given.has("json")) {
      const shown = { id, session, from, to, octets: content.length, secure, ...(user === undefined ? {} : { user }) };
      stdout.write(`${JSON.stringify({ message: shown })}\n`);
      continue;
    }
    const how = [secure ? "TLS" : "in clear", ...(user === undefined ? [] : [`as ${user}`])].join(", ");
    const who = printable(`<${from}> to ${to.join(", ")}`);
    stdout.write(`message ${id}: ${who}, ${content.length} octets, ${printable(how)}\n`);
  }
}
