/** Checks the options: those of `SMTPPool`, with a hint for each option of nodemailer that has another name here. */
import { SMTPException } from "../errors.ts";
import type { PoolOptions } from "../pool/options.ts";

const DEFAULTS = "give it with the mail, or in the second argument of createTransport()";
const TRANSPORT = "the option is transport, see smtplib/proxy";
const TOKEN = "the option is auth.token, a string or a function that gives one";
const LOGGER = "the option is logger, an object with debug, info, warn and error, which gets the dialogue, too";

/** An option of nodemailer -> the option here. */
const CALLED: Readonly<Record<string, string>> = {
  pool: "it is always a pool",
  url: "the URL is the first argument",
  service: "the options are host and port",
  lmtp: 'the option is protocol: "lmtp"',
  name: "the option is local_hostname",
  localAddress: "the option is source_address: [address, 0]",
  ignoreTLS: 'the option is starttls: "never"',
  requireTLS: 'the option is starttls: "required"',
  opportunisticTLS: 'the option is starttls: "opportunistic"',
  tls: "the option is context",
  servername: "the option is context.servername",
  authMethod: "the option is auth.mechanisms",
  customAuth: "the option is auth, which may be a Mechanism",
  forceAuth: "with auth, no mail is sent without a login",
  connectionTimeout: "the option is timeouts.connect, in seconds",
  dnsTimeout: "the option is timeouts.connect, in seconds",
  greetingTimeout: "the option is timeouts.greeting, in seconds",
  socketTimeout: "the option is timeout, in seconds",
  socketCloseTimeout: "the option is timeouts.quit, in seconds",
  maxResponseSize: "the option is limits.reply",
  rateDelta: "the option is rateLimit: { messages, seconds }",
  maxRequeues: "a mail is sent again only if it certainly was not sent",
  debug: LOGGER,
  transactionLog: LOGGER,
  component: LOGGER,
  proxy: TRANSPORT,
  getSocket: TRANSPORT,
  socket: TRANSPORT,
  connection: TRANSPORT,
  secured: TRANSPORT,
  allowInternalNetworkInterfaces: TRANSPORT,
  dkim: DEFAULTS,
  attachDataUrls: DEFAULTS,
  disableFileAccess: DEFAULTS,
  disableUrlAccess: DEFAULTS,
  normalizeHeaderKey: DEFAULTS,
  maxRecipients: DEFAULTS,
};

/** The same for the members of `auth`. */
const AUTH_CALLED: Readonly<Record<string, string>> = {
  pass: "the option is auth.password",
  type: "auth.password or auth.token tells the type",
  method: "the option is auth.mechanisms",
  credentials: "the options are auth.user and auth.password",
  options: "the option is auth, which may be a Mechanism",
  oauth2: TOKEN,
  accessToken: TOKEN,
  refreshToken: TOKEN,
  clientId: TOKEN,
  clientSecret: TOKEN,
  accessUrl: TOKEN,
  expires: TOKEN,
  provisionCallback: TOKEN,
  serviceClient: TOKEN,
  privateKey: TOKEN,
};

/**
 * Refuses options of nodemailer that have another name here, and names that.
 * @throws {TypeError} for the first of them
 */
export function checkNames(options: PoolOptions): void {
  checkAgainst(CALLED, options, "");
  const { auth, rateLimit, logger }: { auth?: unknown; rateLimit?: unknown; logger?: unknown } = options;
  if (typeof rateLimit === "number") throw new TypeError("rateLimit: the option is rateLimit: { messages, seconds }");
  if (typeof logger === "boolean") throw new TypeError(`logger: ${LOGGER}`);
  if (typeof auth === "object" && auth !== null && !("start" in auth)) checkAgainst(AUTH_CALLED, auth, "auth.");
}

function checkAgainst(called: Readonly<Record<string, string>>, options: object, path: string): void {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(called, name)) continue;
    throw new TypeError(`${path}${name}: ${called[name]}`);
  }
}

/** Wraps the token function of the options to record its failures, which are failures of the login. */
export function watchingToken(options: PoolOptions, failed: WeakSet<object>): PoolOptions {
  const { auth } = options;
  if (typeof auth !== "object" || auth === null || !("token" in auth) || typeof auth.token !== "function") {
    return options;
  }
  const { token } = auth;
  const watched = async (): Promise<string> => {
    try {
      return await token();
    } catch (error) {
      const reason = error instanceof Error ? error : new SMTPException(`no token: ${String(error)}`, { cause: error });
      failed.add(reason);
      throw reason;
    }
  };
  return { ...options, auth: { ...auth, token: watched } };
}
