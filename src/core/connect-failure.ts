/** Decides from a transport's error whether another attempt may succeed. */

/**
 * True if another attempt will fail in the same way: the cause has `permanent`, e.g. for a refused certificate or
 * refused proxy credentials, the host name does not exist, or the process may not open the connection.
 *
 * A resolver without an answer (EAI_AGAIN) may have one later, and a missing Unix socket (ENOENT) appears when its
 * server starts: both are temporary, as refused and reset connections are.
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

/** Whether a resolver's error means that the name does not exist. Undefined for any other error. */
export function failedLookup(error: unknown): "no-such-name" | "no-answer" | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = codeOf(error);
  if (code !== undefined && NO_SUCH_NAME.has(code)) return "no-such-name";
  if (code !== undefined) return NO_ANSWER.has(code) ? "no-answer" : undefined;
  // Deno's error has no code, only the system's text.
  if (!/^failed to lookup address information\b/i.test(error.message)) return undefined;
  return /not known|No address associated|does not resolve|no such host/i.test(error.message)
    ? "no-such-name"
    : "no-answer";
}

const NO_SUCH_NAME: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_NONAME", "EAI_NODATA", "ENODATA"]);
const NO_ANSWER: ReadonlySet<string> = new Set(["EAI_AGAIN", "EAI_FAIL", "ESERVFAIL", "ETIMEOUT"]);

/** EACCES: permissions of a Unix socket, or a system rule. Deno uses names: NotCapable for its own flags. */
function isForbidden(error: Error): boolean {
  return codeOf(error) === "EACCES" || error.name === "PermissionDenied" || error.name === "NotCapable";
}

/** The system's code; Bun's resolver prefixes it with "DNS_". */
function codeOf(error: Error): string | undefined {
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? code.replace(/^DNS_/, "") : undefined;
}
