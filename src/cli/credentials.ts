/** Credentials: user, password or token, from sources that the list of processes does not show. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Mechanism, PoolAuth, Reply, SMTP } from "../index.ts";
import { anonymous, external, oauthbearer, xoauth2 } from "../sasl/index.ts";
import type { Arguments, OptionTable } from "./arguments.ts";
import type { Connection } from "./connection.ts";
import { CommandError, EXIT, UsageError } from "./exit-codes.ts";
import { readText } from "./files.ts";
import { MECHANISMS } from "./mechanisms.ts";
import type { Surroundings } from "./surroundings.ts";

/** How a client logs in. */
export const LOGIN_OPTIONS: OptionTable = {
  user: { value: "NAME", short: "u", help: "log in as NAME" },
  "password-file": { value: "FILE", help: "the file whose first line is the password" },
  password: {
    value: "TEXT",
    free: true,
    help: "the password; visible to all users of this machine in the process list",
  },
  "token-command": { value: "COMMAND", free: true, help: "the command that prints an OAuth 2.0 token" },
  auth: { value: "MECHANISM", multiple: true, help: "the SASL mechanisms to use, in this order" },
  authzid: { value: "NAME", help: "act as NAME, with the credentials of --user" },
  "allow-insecure-auth": { help: "send passwords without TLS" },
};

/** The credentials of a client. */
export type Credentials =
  | {
      readonly kind: "password";
      readonly user: string;
      readonly password: string;
      readonly authzid: string | undefined;
      readonly mechanisms: readonly string[] | undefined;
    }
  | {
      readonly kind: "token";
      readonly user: string;
      readonly token: () => Promise<string>;
      readonly mechanisms: readonly string[];
    }
  | { readonly kind: "mechanism"; readonly mechanism: Mechanism };

/**
 * The credentials that the options ask for; undefined without a login.
 * @throws {UsageError} if something is missing or superfluous
 */
export async function credentialsOf(
  args: Arguments,
  { target }: Connection,
  around: Surroundings,
): Promise<Credentials | undefined> {
  args.atMostOneOf("password", "password-file", "token-command");
  const mechanisms = mechanismsOf(args);
  const user = args.text("user") ?? target.user;
  const own = ownMechanism(mechanisms, args.text("authzid") ?? user);
  if (own !== undefined) return { kind: "mechanism", mechanism: own };
  if (user === undefined) return withoutUser(args);
  if (user === "") throw new UsageError("--user", "must not be empty");
  const command = args.text("token-command");
  const wantsToken = mechanisms.some((name) => TOKEN_MECHANISMS.includes(name));
  if (command === undefined && wantsToken)
    throw new UsageError("--auth", `${mechanisms.join(", ")} needs --token-command`);
  if (command !== undefined) return { kind: "token", user, token: () => tokenOf(command, around), mechanisms };
  const password = await passwordOf(args, target.password, user, around);
  const order = mechanisms.length === 0 ? undefined : mechanisms;
  return { kind: "password", user, password, authzid: args.text("authzid"), mechanisms: order };
}

/** The credentials as a pool takes them. */
export function poolAuth(credentials: Credentials): PoolAuth {
  switch (credentials.kind) {
    case "mechanism":
      return credentials.mechanism;
    case "token": {
      const { user, token, mechanisms } = credentials;
      return mechanisms.length === 0 ? { user, token } : tokenMechanism(mechanisms[0], user, token, undefined);
    }
    case "password": {
      const { user, password, authzid, mechanisms } = credentials;
      return {
        user,
        password,
        ...(authzid === undefined ? {} : { authzid }),
        ...(mechanisms === undefined ? {} : { mechanisms }),
      };
    }
  }
}

/** Logs in with a client that has sent EHLO. */
export async function logIn(smtp: SMTP, credentials: Credentials, endpoint: Connection["endpoint"]): Promise<Reply> {
  switch (credentials.kind) {
    case "mechanism":
      return await smtp.auth(credentials.mechanism.name, credentials.mechanism);
    case "token": {
      const { user, token, mechanisms } = credentials;
      const offered = (smtp.esmtp_features["auth"] ?? "").toUpperCase().split(" ");
      const name = (mechanisms.length === 0 ? TOKEN_MECHANISMS : mechanisms).find((one) => offered.includes(one));
      const mechanism = tokenMechanism(name ?? mechanisms[0], user, token, endpoint);
      return await smtp.auth(mechanism.name, mechanism);
    }
    case "password": {
      const { user, password, mechanisms } = credentials;
      return await smtp.login(user, password, mechanisms === undefined ? {} : { mechanisms });
    }
  }
}

const TOKEN_MECHANISMS: readonly string[] = ["OAUTHBEARER", "XOAUTH2"];

function mechanismsOf(args: Arguments): readonly string[] {
  const names = args.list("auth").map((name) => name.toUpperCase());
  const unknown = names.find((name) => MECHANISMS[name]?.supported !== true);
  if (unknown !== undefined) {
    const known = Object.keys(MECHANISMS).filter((name) => MECHANISMS[name]?.supported === true);
    throw new UsageError("--auth", `must be of ${known.join(", ")}: ${JSON.stringify(unknown)}`);
  }
  return names;
}

/** A mechanism without a password. */
function ownMechanism(mechanisms: readonly string[], user: string | undefined): Mechanism | undefined {
  const [name, second] = mechanisms;
  if (name !== "EXTERNAL" && name !== "ANONYMOUS") return undefined;
  if (second !== undefined) throw new UsageError("--auth", `${name} cannot stand beside ${second}`);
  if (name === "EXTERNAL") return external(user === undefined ? {} : { authzid: user });
  return anonymous(user === undefined ? {} : { trace: user });
}

function withoutUser(args: Arguments): undefined {
  const given = Object.keys(LOGIN_OPTIONS).find((name) => args.has(name) && name !== "allow-insecure-auth");
  if (given !== undefined) throw new UsageError(`--${given}`, "needs --user");
  return undefined;
}

function tokenMechanism(
  name: string | undefined,
  user: string,
  token: () => Promise<string>,
  endpoint: Connection["endpoint"] | undefined,
): Mechanism {
  if (name === "XOAUTH2") return xoauth2({ user, token });
  const port = endpoint !== undefined && "port" in endpoint ? { port: endpoint.port } : {};
  return oauthbearer({ user, token, ...port });
}

async function passwordOf(
  args: Arguments,
  ofTarget: string | undefined,
  user: string,
  { env, ask }: Surroundings,
): Promise<string> {
  const file = args.text("password-file");
  const found =
    file === undefined
      ? (args.text("password") ?? ofTarget ?? env["SMTP_PASSWORD"])
      : (await readText("--password-file", file)).split(/\r?\n/, 1)[0];
  const password = found ?? (await ask(`Password of ${user}: `));
  if (password !== undefined && password !== "") return password;
  if (file !== undefined) throw new UsageError("--password-file", `${file} has an empty first line`);
  throw new UsageError("--user", "needs a password: --password-file, SMTP_PASSWORD, or a terminal to ask on");
}

async function tokenOf(command: string, { env }: Surroundings): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)("/bin/sh", ["-c", command], { env: { ...env }, timeout: 60_000 });
    const [token = ""] = stdout.trim().split(/\r?\n/);
    if (token !== "") return token;
  } catch (error) {
    throw new CommandError(EXIT.login, `--token-command failed: ${endOf(error)}`);
  }
  throw new CommandError(EXIT.login, "--token-command printed no token");
}

/** How a command ended. The runtime's own error is not used: its message has the command and its output. */
function endOf(error: unknown): string {
  const member = (name: string): unknown => (error instanceof Error ? Reflect.get(error, name) : undefined);
  const [code, signal] = [member("code"), member("signal")];
  if (typeof code === "number") return `exit code ${code}`;
  if (typeof signal === "string") return `it was ended by ${signal}`;
  return typeof code === "string" ? code : "it could not be run";
}
