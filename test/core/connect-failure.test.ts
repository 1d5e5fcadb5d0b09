/** Transport errors: whether another attempt would fail in the same way. */
import { describe, expect, it } from "vitest";
import { failedLookup, isPermanentCause } from "../../src/core/connect-failure.ts";
import { TlsError } from "../../src/errors.ts";

const coded = (code: string, message = code): Error => Object.assign(new Error(message), { code });
const named = (name: string): Error => Object.assign(new Error("no"), { name });
const deno = (text: string): Error => new Error(`failed to lookup address information: ${text}`);

describe("a name that does not exist is permanent, in the words of each runtime", () => {
  it.each([
    coded("ENOTFOUND", "getaddrinfo ENOTFOUND mail.example.com"),
    coded("DNS_ENOTFOUND", "getaddrinfo ENOTFOUND"),
    deno("Name or service not known"),
    deno("nodename nor servname provided, or not known"),
    deno("No such host is known. (os error 11001)"),
    deno("No address associated with hostname"),
  ])("%s", (error) => {
    expect(failedLookup(error)).toBe("no-such-name");
    expect(isPermanentCause(error)).toBe(true);
  });
});

describe("a resolver without an answer may have one later", () => {
  it.each([
    coded("EAI_AGAIN"),
    coded("DNS_EAI_AGAIN"),
    coded("DNS_ESERVFAIL"),
    deno("Temporary failure in name resolution"),
    deno("Try again"),
  ])("%s", (error) => {
    expect(failedLookup(error)).toBe("no-answer");
    expect(isPermanentCause(error)).toBe(false);
  });
});

describe("another error", () => {
  it.each([
    [coded("EACCES"), true],
    [named("PermissionDenied"), true],
    [named("NotCapable"), true],
    [new TlsError("issuer", "no"), true],
    [new TlsError("closed", "gone"), false],
    [Object.assign(new Error("no"), { permanent: true }), true],
    [Object.assign(coded("ENOTFOUND"), { permanent: false }), false],
    [coded("ENOENT"), false],
    [coded("ECONNREFUSED"), false],
    [new Error("no"), false],
    ["no", false],
  ])("%s is permanent: %s", (error, permanent) => {
    expect(isPermanentCause(error)).toBe(permanent);
    expect(failedLookup(coded("EACCES"))).toBeUndefined();
  });
});
