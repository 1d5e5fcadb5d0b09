/** AUTH of the test server: PLAIN, LOGIN and XOAUTH2, which send user and password or token. */
import { decodeBase64, encodeBase64 } from "../core/base64.ts";
import { utf8 } from "../core/bytes.ts";

/** The mechanisms that the server offers. */
export const MECHANISMS: readonly string[] = ["PLAIN", "LOGIN", "XOAUTH2"];

/** The accounts that may log in: one account, a function that decides, or "any" for all. */
export type Account =
  | { readonly user: string; readonly password: string }
  | ((user: string, password: string) => boolean | Promise<boolean>)
  | "any";

/** The identity that a client claims. */
export type Claim = { readonly user: string; readonly password: string };

/**
 * Runs the exchange of a mechanism: `ask` sends a challenge and returns the response.
 * Returns undefined for an invalid response, "cancelled" if the client cancels.
 */
export async function claimOf(
  mechanism: string,
  initial: string | undefined,
  ask: (challenge: string) => Promise<string>,
): Promise<Claim | "cancelled" | undefined> {
  const next = (challenge: string): Promise<string> => ask(encodeBase64(utf8(challenge)));
  const first = initial ?? (await next(mechanism === "LOGIN" ? "Username:" : ""));
  if (first === "*") return "cancelled";
  const said = decoded(first);
  if (said === undefined) return undefined;
  switch (mechanism) {
    case "PLAIN": {
      const [, user, password] = said.split("\0");
      return user === undefined || password === undefined ? undefined : { user, password };
    }
    case "LOGIN": {
      const second = await next("Password:");
      if (second === "*") return "cancelled";
      const password = decoded(second);
      return password === undefined ? undefined : { user: said, password };
    }
    default: {
      const [, user, password] = /^user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01$/.exec(said) ?? [];
      return user === undefined || password === undefined ? undefined : { user, password };
    }
  }
}

function decoded(text: string): string | undefined {
  const bytes = decodeBase64(text === "=" ? "" : text);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/** Whether an account may log in. */
export async function isRight(account: Account, user: string, password: string): Promise<boolean> {
  if (account === "any") return true;
  if (typeof account === "function") return account(user, password);
  return user === account.user && password === account.password;
}
