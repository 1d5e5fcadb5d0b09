/** What the error of a transport says of the next attempt: whether that can have another result. */

/**
 * True if another attempt fails in the same way: the cause says so itself (`permanent`, as a refused certificate and a
 * proxy that refuses the credentials do), the host name does not exist, or the process may not open the connection.
 *
 * A resolver that has no answer now (EAI_AGAIN) may have one later, and a Unix socket that is missing (ENOENT) appears
 * when its server has started: both pass, as refused and reset connections do.
 */
export function isPermanentCause(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (Reflect.has(error, "permanent")) return saysPermanent(error);
  return isForbidden(error) || failedLookup(error) === "no-such-name";
}

/** True if the error has `permanent: true`, as a `TlsError` and a `ProxyError` may. */
export function saysPermanent(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, "permanent") === true;
}

/** What a resolver's failure says of the name: that it does not exist, or nothing. Undefined for any other error. */
export function failedLookup(error: unknown): "no-such-name" | "no-answer" | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = codeOf(error);
  if (code !== undefined && NO_SUCH_NAME.has(code)) return "no-such-name";
  if (code !== undefined) return NO_ANSWER.has(code) ? "no-answer" : undefined;
  // Deno's error has no code, but the system's text for it.
  if (!/^failed to lookup address information\b/i.test(error.message)) return undefined;
  return /not known|No address associated|does not resolve|no such host/i.test(error.message)
    ? "no-such-name"
    : "no-answer";
}

const NO_SUCH_NAME: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_NONAME", "EAI_NODATA", "ENODATA"]);
const NO_ANSWER: ReadonlySet<string> = new Set(["EAI_AGAIN", "EAI_FAIL", "ESERVFAIL", "ETIMEOUT"]);

/** EACCES: the permissions of a Unix socket, or a rule of the system. Deno refuses by names: its own flags by NotCapable. */
function isForbidden(error: Error): boolean {
  return codeOf(error) === "EACCES" || error.name === "PermissionDenied" || error.name === "NotCapable";
}

/** The system's code; Bun's resolver puts "DNS_" before it. */
function codeOf(error: Error): string | undefined {
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? code.replace(/^DNS_/, "") : undefined;
}
