/** A server's extensions, from its reply to EHLO (RFC 5321 4.1.1.1). */
import { SMTPNotSupportedError } from "../errors.ts";

/** Lower-case EHLO keyword -> its parameters. Has no prototype: a keyword such as `__proto__` is only data. */
export type Features = Record<string, string>;

/** No features: before EHLO, after HELO and after STARTTLS. */
export function noFeatures(): Features {
  return Object.create(null);
}

const KEYWORD = /^([a-z\d][a-z\d-]*)(.*)/is;

/**
 * Reads the lines of an EHLO reply. Old servers write `AUTH=LOGIN PLAIN`: "auth" contains the mechanisms of both forms;
 * for any other keyword the last line wins, as in Python.
 */
export function parseFeatures(lines: readonly string[]): Features {
  const features = noFeatures();
  const mechanisms = new Set<string>();
  for (const line of lines.slice(1)) {
    const [, keyword, parameters = ""] = KEYWORD.exec(line) ?? [];
    const name = keyword?.toLowerCase();
    if (name === undefined) continue;
    if (name === "auth") for (const word of words(parameters.replace(/^=/, ""))) mechanisms.add(word);
    features[name] = parameters.trim();
  }
  if ("auth" in features) features["auth"] = [...mechanisms].join(" ");
  return features;
}

/** Whether a server offers the extension with this EHLO keyword. */
export function offers(features: Features, keyword: string): boolean {
  return keyword.toLowerCase() in features;
}

/** The error for an extension that the server does not offer, before the message is begun; `advice` is a workaround. */
export function notOffered(keyword: string, what: string, advice = ""): SMTPNotSupportedError {
  return new SMTPNotSupportedError(`${what} needs the extension ${keyword}, which the server does not offer${advice}`, {
    capability: keyword,
    delivery: "not-sent",
  });
}

/** The words of a feature's parameters. */
export function words(parameters: string): string[] {
  return parameters.match(/\S+/g) ?? [];
}
