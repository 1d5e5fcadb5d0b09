/**
 * Connection URLs: encoded credentials are read exactly, ambiguous URLs are refused, and errors show no part of them.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SMTP, SMTPPool } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { poolSettings } from "../../src/pool/options.ts";
import { optionsOfUrl } from "../../src/pool/url.ts";

const RUNS = Number(process.env["SMTPLIB_FUZZ_RUNS"] ?? 1000);

/** The error that a call throws, with everything that it shows or contains. */
function thrown(call: () => unknown): Error & { cause?: unknown; input?: unknown } {
  try {
    call();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was thrown");
}

const auth = (user: string, password: string): object => ({ auth: { user, password } });

describe("a connection URL is read", () => {
  it.each([
    ["smtp://mail.example.com", { host: "mail.example.com" }],
    ["SMTP://mail.example.com/", { host: "mail.example.com" }],
    ["smtp://mail.example.com:2525\n", { host: "mail.example.com", port: 2525 }],
    ["smtps://mail.example.com", { secure: true, host: "mail.example.com" }],
    ["lmtp://mail.example.com:24", { protocol: "lmtp", host: "mail.example.com", port: 24 }],
    ["lmtp:///run/dovecot/lmtp", { protocol: "lmtp", host: "/run/dovecot/lmtp" }],
    ["lmtp://%2Frun%2Fdovecot%2Flmtp", { protocol: "lmtp", host: "/run/dovecot/lmtp" }],
    ["smtp://u:p@/run/smtp", { host: "/run/smtp", ...auth("u", "p") }],
    ["smtp://[2001:db8::1]:587", { host: "[2001:db8::1]", port: 587 }],
    ["smtp://[fe80::1%25eth0]", { host: "[fe80::1%eth0]" }],
    ["smtp://müller.example", { host: "müller.example" }],
    ["smtp://m%C3%BCller.example", { host: "müller.example" }],
    ["smtp://us%40er:p%2Fss%3A%20w@h", { host: "h", ...auth("us@er", "p/ss: w") }],
    ['smtp://us er:p\\w[]{}|^`"<>+&=!é@h', { host: "h", ...auth("us er", 'p\\w[]{}|^`"<>+&=!é') }],
    ["smtp://h/our.name", { host: "h", local_hostname: "our.name" }],
    ["smtp://h?name=our.name", { host: "h", local_hostname: "our.name" }],
    ["smtp://h?tls=required", { host: "h", starttls: "required" }],
    [
      "smtp://h?starttls=never&maxConnections=3&reconnectFor=0",
      {
        host: "h",
        starttls: "never",
        maxConnections: 3,
        reconnectFor: 0,
      },
    ],
  ])("%s", (url, options) => {
    expect(optionsOfUrl(url)).toEqual(options);
    expect(() => poolSettings(url, {})).not.toThrow();
  });

  it("with the options beside it, which count more where they are given", () => {
    expect(poolSettings("smtp://h:25?maxConnections=3", { port: 26 })).toMatchObject({
      endpoint: { host: "h", port: 26 },
      maxConnections: 3,
    });
    expect(poolSettings("smtps://u:p@h", { secure: undefined, auth: undefined, port: undefined })).toMatchObject({
      endpoint: { host: "h", port: 465 },
      secure: true,
      auth: { credentials: { user: "u", password: "p" } },
    });
  });

  it("so that port 465 is implicit TLS, unless it is said not to be", () => {
    expect(poolSettings("smtp://h:465", {})).toMatchObject({ secure: true });
    expect(poolSettings("smtp://h", { port: 465 })).toMatchObject({ secure: true });
    expect(poolSettings("smtp://h:465", { secure: false })).toMatchObject({ secure: false });
    expect(poolSettings("lmtp://h:465", {})).toMatchObject({ secure: false });
  });
});

describe("a connection URL is refused with a TypeError that asks for percent-encoding and shows no part of it", () => {
  it.each([
    "smtp://team/ada:s3cret@mail.example.com",
    "smtp://ada:#s3cret@mail.example.com",
    "smtp://ada:?s3cret@mail.example.com",
    "smtp://ada:s3/cret@mail.example.com",
    "smtp://ada:s3c@ret@mail.example.com",
    "smtp://ada@team.example:s3cret@mail.example.com",
    "smtp://ada:s3:cret@mail.example.com",
    "smtp://ada:s3cret%zz@mail.example.com",
    "smtp://ada:s3cret%@mail.example.com",
    "smtp://ada:s3cret%ff@mail.example.com",
    "smtp://ada:s3cret%00@mail.example.com",
    "smtp://ada:s3\tcret@mail.example.com",
    "smtp://ada:s3\ncret@mail.example.com",
    "smtp://ada@mail.example.com",
    "smtp://ada:@mail.example.com",
    "smtp://:s3cret@mail.example.com",
    "smtp://:@mail.example.com",
    "smtp://@mail.example.com",
    "smtp://ada:s3cret@",
    "smtp://ada:s3cret@:25",
    "smtp://ada:s3cret",
    "smtp://ada:s3cret@mail.example.com:port",
    "smtp://ada:s3cret@mail.example.com:99999",
    "smtp://ada:s3cret@mail.example.com#top",
    "smtp://ada:s3cret@mail.example.com/a:b",
    "smtp://ada:s3cret@mail.example.com/a/b",
    "smtp://ada:s3cret@mail example.com",
    "smtp://ada:s3cret@mail%0d%0aRSET",
    "smtp://ada:s3cret@[::1",
    "smtp://ada:s3cret@2001:db8::1",
    "lmtp://ada:s3cret@%2Frun%2Flmtp:24",
    "smtp:ada:s3cret@mail.example.com",
    "http://ada:s3cret@mail.example.com",
    "ada:s3cret@mail.example.com",
    "constructor://ada:s3cret@mail.example.com",
    "s3cret",
    "smtp://",
    "smtp://:25",
    "",
  ])("%j", (url) => {
    for (const make of [() => new SMTPPool(url), () => smtplib(url)]) {
      const error = thrown(make);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/percent-encoded/);
      expect(error.message).not.toMatch(/ada|s3|cret|example|team|RSET/);
      expect([error.cause, error.input]).toEqual([undefined, undefined]);
    }
  });

  it.each([
    ["smtp://h?tls=maybe", /starttls|tls/],
    ["smtp://h?constructor=1", /constructor/],
    ["smtp://h?password=s3cret", /password/],
    ["smtp://h?s3cret", /a parameter/],
    ["smtp://h?tls=never&starttls=required", /twice/],
    ["smtp://h?maxConnections=1&maxConnections=2", /maxConnections twice/],
    ["smtp://h?maxConnections=", /maxConnections/],
    ["smtp://h?maxConnections=s3cret", /maxConnections/],
  ])("%s: a RangeError that names the parameter", (url, message) => {
    const error = thrown(() => new SMTPPool(url));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain("s3cret");
  });

  it("in the place of a host with a RangeError, which shows no part of it either", () => {
    const url = "smtp://ada:s3cret@mail.example.com";
    for (const host of [url, "ada:s3cret@mail.example.com", "mail.example.com/s3cret", "smtp://ada:s3 cret@mail"]) {
      for (const make of [() => new SMTPPool({ host }), () => new SMTP(host)]) {
        const error = thrown(make);
        expect(error).toBeInstanceOf(RangeError);
        expect(error.message).not.toMatch(/ada|s3|cret|example/);
      }
    }
  });
});

/** A text for a password; control characters are refused, and "%41" always means "A". */
const credential = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 20, unit: "binary" }),
    fc.string({ minLength: 1, maxLength: 20, unit: fc.constantFrom(..."ab1:/?#@%&=+[]\\ .-") }),
    fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" }),
  )
  .filter((text) => !/[\x00-\x1f\x7f]|%[\da-f]{2}/i.test(text));

const hosts = fc.constantFrom(
  "mail.example.com",
  "h",
  "127.0.0.1",
  "[::1]",
  "mail.example.com:587",
  "h:25/me?tls=never",
);

describe("whatever user and password are", () => {
  it("a URL with both percent-encoded gives exactly these", () => {
    fc.assert(
      fc.property(credential, credential, hosts, (user, password, host) => {
        const url = `smtp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}`;
        expect(optionsOfUrl(url).auth).toEqual({ user, password });
        expect(optionsOfUrl(url).host).toBe(/^(\[.*\]|[^:/]*)/.exec(host)?.[0]);
      }),
      { numRuns: RUNS },
    );
  });

  it("one with them as they are gives exactly these, or is refused without a word of them", () => {
    const messages = new Set<string>();
    fc.assert(
      fc.property(credential, credential, hosts, (user, password, host) => {
        const url = `smtp://${user}:${password}@${host}`;
        let options: ReturnType<typeof optionsOfUrl>;
        try {
          options = optionsOfUrl(url);
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          messages.add(String(error));
          return;
        }
        expect(options.auth).toEqual({ user, password });
        expect(options.host).toBe(/^(\[.*\]|[^:/]*)/.exec(host)?.[0]);
      }),
      { numRuns: RUNS },
    );
    // The same few texts for all credentials: so they contain no part of these.
    expect(messages.size).toBeLessThanOrEqual(3);
  });
});

describe("a parameter", () => {
  it.each(["timeout=0x10", "maxConnections=1e1", "timeout=%205", "maxQueue=", "timeout=+5", "name=a%20b", "name=a+b"])(
    "with a value that is no decimal number, or no name, is an error that shows none of it: %s",
    (parameter) => {
      const [name = "", value = ""] = parameter.split("=");
      const make = (): SMTPPool => new SMTPPool(`smtp://u:p@h?${parameter}`);
      expect(make).toThrow(`the parameter ${name}`);
      if (value !== "") expect(make).not.toThrow(decodeURIComponent(value.replace("+", " ")));
    },
  );
});
