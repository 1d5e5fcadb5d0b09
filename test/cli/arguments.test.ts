/** Arguments: an invalid one ends the program with 64 and one line that names it; help and version. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { OptionTable } from "../../src/cli/arguments.ts";
import { PROBE } from "../../src/cli/probe/command.ts";
import { SEND } from "../../src/cli/send/command.ts";
import { SERVE } from "../../src/cli/serve/command.ts";
import { cli, fileOf } from "./cli.ts";
import { pairs } from "./planted.ts";

const root = join(import.meta.dirname, "../..");
const envelope = ["--from", "ada@example.com", "--to", "charles@example.net"];

const test = ["send", "--server", "localhost:1", "--test"];

/** The arguments that each command needs beside the invalid one. */
const START: Readonly<Record<string, readonly string[]>> = {
  probe: ["probe", "localhost:1"],
  send: [...test, ...envelope],
  serve: ["serve"],
};

describe("an argument that cannot be meant", () => {
  it.each<[name: string, args: readonly string[]]>([
    ["HOST", ["probe"]],
    ['"two"', ["probe", "one", "two"]],
    ["--colour", ["probe", "localhost", "--colour"]],
    ["--port", ["probe", "localhost", "--port=25"]],
    ["-x", ["probe", "localhost", "-x"]],
    ["HOST", ["probe", "localhost:0"]],
    ["HOST", ["probe", "localhost:99999"]],
    ["HOST", ["probe", "ftp://localhost"]],
    ["HOST", ["probe", "smtp://"]],
    ["HOST", ["probe", "smtp://ada:p@ss@localhost"]],
    ["HOST", ["probe", "smtp://localhost?maxConnections=3"]],
    ["HOST", ["probe", "ada@localhost"]],
    ["HOST", ["probe", "local host"]],
    ["--lmtp", ["probe", "smtp://localhost", "--lmtp"]],
    ["--tls", ["probe", "localhost", "--tls=yes"]],
    ["--starttls", ["probe", "localhost", "--starttls", "maybe"]],
    ["--starttls", ["probe", "localhost", "--tls", "--starttls", "required"]],
    ["--timeout", ["probe", "localhost", "--timeout", "soon"]],
    ["--timeout", ["probe", "localhost", "--timeout", "0"]],
    ["--timeout", ["probe", "localhost", "--timeout"]],
    ["--timeout", ["probe", "localhost", "--timeout="]],
    ["--ui", ["serve", "--ui", "99999"]],
    ["--port", ["serve", "--port", "99999"]],
    ["--auth", ["serve", "--auth", "nobody"]],
    ["--cert", ["serve", "--tls", "--cert", "x"]],
    ["--store-format", ["serve", "--store-format", "eml"]],
    ["--starttls", ["serve", "--tls", "--starttls"]],
    ["--forward", ["serve", "--forward", "nowhere"]],
    ['"x"', ["serve", "x"]],
    ["--timeout", ["probe", "localhost", "--timeout", "--json"]],
    ["--timeout", ["probe", "localhost", "--timeout", "1", "--timeout", "2"]],
    ["--cert", ["probe", "localhost", "--cert", "x"]],
    ["--fingerprint", ["probe", "localhost", "--fingerprint", "abc"]],
    ["--min-tls", ["probe", "localhost", "--min-tls", "1.1"]],
    ["--proxy", ["probe", "localhost", "--proxy", "ftp://a"]],
    ["--proxy", ["probe", "localhost", "--proxy", "nonsense"]],
    ["--user", ["probe", "localhost", "--user", "ada"]],
    ["--password", ["probe", "localhost", "--password", "x"]],
    ["--auth", ["probe", "localhost", "--user", "ada", "--auth", "GSSAPI"]],
    ["--auth", ["probe", "localhost", "--user", "ada", "--auth", "XOAUTH2"]],
    ["--auth", ["probe", "localhost", "--auth", "EXTERNAL,PLAIN"]],
    ["--server", ["send", "--test", ...envelope]],
    ["FILE", ["send", "--server", "localhost", ...envelope]],
    ["--test", ["send", "x.eml", "--server", "localhost", "--test"]],
    ["--test", ["send", "--server", "localhost", "--test", "--subject", "x", ...envelope]],
    ["--to", ["send", "--server", "localhost", "--test", "--from", "ada@example.com"]],
    ["--to", ["send", "--server", "localhost", "--test", "--from", "ada@example.com", "--to", "a b@c d"]],
    ["--from", ["send", "--server", "localhost", "--test", "--from", "a@b,c@d", "--to", "e@f"]],
    ["--notify", ["send", "--server", "localhost", "--test", ...envelope, "--notify", "sometimes"]],
    ["--by", ["send", "--server", "localhost", "--test", ...envelope, "--by", "soon"]],
    ["--hold-until", ["send", "--server", "localhost", "--test", ...envelope, "--hold-until", "never"]],
    [
      "--hold-until",
      ["send", "--server", "localhost", "--test", ...envelope, "--hold-until", "2030-01-01", "--hold-for", "1"],
    ],
    ["--mt-priority", ["send", "--server", "localhost", "--test", ...envelope, "--mt-priority", "10"]],
    ["--pipelining", ["send", "--server", "localhost", "--test", ...envelope, "--pipelining", "fast"]],
    ["--repeat", ["send", "--server", "localhost", "--test", ...envelope, "--repeat", "0"]],
    ["--rate", ["send", "--server", "localhost", "--test", ...envelope, "--rate", "fast"]],
    ["--stop-after", ["send", "--server", "localhost", "--stop-after", "data"]],
    ["--dry-run", ["send", "--server", "localhost", "--stop-after", "mail", "--dry-run"]],
    ["--header", ["send", "--server", "localhost", "--text", "x", ...envelope, "--header", "no colon"]],
    ['"serv"', ["serv"]],
    ["--constructor", ["probe", "localhost", "--constructor"]],
    ["--__proto__", ["probe", "localhost", "--__proto__"]],
    ["--json", [...test, ...envelope, "--dry-run", "--json"]],
    ["--json", ["send", "--server", "localhost:1", "--stop-after", "ehlo", "--json"]],
    ["--to", [...test, "--from", "a@example.com", "--to", ","]],
    ["--to", [...test, "--from", "a@example.com", "--to", " "]],
    ["--cc", [...test, ...envelope, "--cc", ","]],
    ["--bcc", [...test, ...envelope, "--bcc", "Friends:;"]],
    ["--envelope-from", [...test, ...envelope, "--envelope-from", ","]],
    ["--notify", [...test, ...envelope, "--notify", ","]],
    ["--auth", ["probe", "localhost", "--user", "ada", "--auth", ","]],
    ["--html", ["send", "--server", "localhost", ...envelope, "--text", "-", "--html", "-"]],
    ["--helo", ["probe", "localhost", "--helo", "two words"]],
    ["--source-address", ["probe", "localhost", "--source-address", "nonsense"]],
    ["--source-address", ["probe", "localhost", "--source-address", "smtp://127.0.0.1"]],
    ["--source-address", ["probe", "localhost", "--source-address", "/tmp/socket"]],
    ["--ciphers", ["probe", "localhost", "--ciphers", "NONSENSE"]],
    ["--groups", ["probe", "localhost", "--groups", "NONSENSE"]],
    ["--orcpt", [...test, ...envelope, "--orcpt", "nonsense"]],
    ["--by", [...test, ...envelope, "--by", "0:return"]],
    ["--submitter", [...test, ...envelope, "--submitter", "a b"]],
    ["--envid", [...test, ...envelope, "--envid", "x".repeat(200)]],
    ["--proxy", ["probe", "localhost", "--proxy", "http://localhost:0"]],
    ["--proxy", ["probe", "localhost", "--proxy", "http://%zz:x@localhost"]],
    ["--proxy", ["probe", "localhost", "--proxy", "socks4a://ada:x@localhost"]],
    ["--proxy", ["probe", "localhost", "--proxy", "http://:x@localhost"]],
    ["--cert", ["serve", "--cert", "x", "--key", "x"]],
    ["--ca-file", ["serve", "--ca-file", "x"]],
    ["--name", ["serve", "--name", "two words"]],
    ["--extension", ["serve", "--extension", "SIZE: 1"]],
  ])("ends with 64 and a line that names %s: %j", async (name, args) => {
    const { code, stderr, stdout } = await cli(args);
    expect(stderr).toMatch(/^smtplib[^\n]*\n$/);
    expect(stderr).toContain(`: ${name} `);
    expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
  });

  it("is a file that holds none of what it should", async () => {
    const nonsense = await fileOf("-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n", "nonsense.pem");
    const good = await fileOf((await pairs()).good.cert, "good.pem");
    const nobody = await fileOf("\n", "nobody.txt");
    for (const [name, ...args] of [
      ["--ca", "probe", "localhost:1", "--ca", nonsense],
      ["--cert", "probe", "localhost:1", "--cert", nonsense, "--key", nonsense],
      ["--key", "probe", "localhost:1", "--cert", good, "--key", nonsense],
      ["--cert", "serve", "--port", "0", "--tls", "--cert", nonsense, "--key", nonsense],
      ["--auth-file", "serve", "--port", "0", "--auth-file", nobody],
      ["--auth-file", "serve", "--port", "0", "--auth-file", nonsense],
    ]) {
      const { code, stderr } = await cli(args);
      expect({ code, stderr }).toMatchObject({
        code: 64,
        stderr: expect.stringMatching(`^smtplib \\w+: ${name} .*\n$`),
      });
    }
  });

  const every = [PROBE, SEND, SERVE].flatMap(({ name, options }) => {
    const rows = Object.values<OptionTable>(options).flatMap((table) => Object.entries(table));
    const valued = rows.filter(([, { value }]) => value !== undefined);
    return valued.map(([option, row]) => ({ name, option, row, args: START[name] ?? [] }));
  });

  it.each(every)(
    "is --$option of $name without a value, twice, or with line ends",
    async ({ args, name, option, row }) => {
      const cases = [
        ...(row.optional === true ? [] : [[`--${option}`]]),
        ...(row.optional === true || row.empty === true ? [] : [[`--${option}=`], [`--${option}`, ""]]),
        ...(row.multiple === true ? [] : [[`--${option}=1`, `--${option}=1`]]),
        ...(row.free === true ? [] : [[`--${option}=a\r\nQUIT`], [`--${option}=a\0b`]]),
      ];
      for (const more of cases) {
        const { code, stderr, stdout } = await cli([...args, ...more]);
        expect(stderr).toMatch(new RegExp(`^smtplib ${name}: --${option} [^\\n]*\\n$`));
        expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
      }
    },
  );

  const NO_NUMBERS = ["NaN", "Infinity", "1e3", "0x10", "1,5", "one", "99999999999999999999999", "-99999999999"];

  it.each([
    ...[PROBE, SEND].map(({ name }) => ({ name, option: "timeout", more: ["0", "-1"] })),
    ...["repeat", "connections"].map((option) => ({ name: "send", option, more: ["0", "-1", "1.5"] })),
    { name: "send", option: "reconnect-for", more: ["-1"] },
    { name: "send", option: "rate", more: ["0", "-1", "1/0", "1/", "/1", "1/-1"] },
    { name: "send", option: "hold-for", more: ["0", "-1", "1.5"] },
    { name: "send", option: "mt-priority", more: ["-10", "10", "1.5"] },
    { name: "send", option: "by", more: ["1.5"] },
    ...["port", "ui"].map((option) => ({ name: "serve", option, more: ["-1", "65536", "1.5"] })),
  ])("is --$option of $name that is no number, or none that can be", async ({ name, option, more }) => {
    for (const value of [...NO_NUMBERS, ...more]) {
      const { code, stderr, stdout } = await cli([...(START[name] ?? []), `--${option}=${value}`]);
      expect(stderr).toMatch(new RegExp(`^smtplib ${name}: --${option} [^\\n]*\\n$`));
      expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
    }
  });

  it("is never shown where it may hold a secret", async () => {
    const secret = "s3cret-w0rd";
    for (const args of [
      ["probe", `smtp://ada:${secret}@:x`],
      ["probe", `smtp://ada:${secret}@localhost?x=1`],
      ["probe", `ada:${secret}@localhost`],
      ["probe", "localhost", "--proxy", `ftp://ada:${secret}@localhost`],
      ["probe", "localhost", "--proxy", `socks5h://ada:${secret}`],
      ["send", "--test", ...envelope, "--server", `smtp://ada:${secret}@localhost:1/`],
      ["send", "--test", ...envelope, "--server", "localhost:1", "--user", "ada", "--password", secret],
    ]) {
      const { code, stderr, stdout } = await cli(args);
      expect(code).not.toBe(0);
      expect(stderr + stdout).not.toContain(secret);
    }
  });

  it("is refused before a byte is sent, where the library refuses it", async () => {
    const file = await fileOf("Subject: x\n\nx\n");
    const { code, stderr } = await cli(["send", file, "--server", "localhost:1", ...envelope, "--envid", "é"]);
    expect({ code, stderr }).toMatchObject({ code: 64, stderr: /--envid/ });
  });
});

describe("help", () => {
  it("tells of each command and of each option", async () => {
    const { code, stdout } = await cli(["--help"]);
    expect(code).toBe(0);
    for (const description of [PROBE, SEND, SERVE]) {
      expect(stdout).toContain(description.summary);
      const help = await cli([description.name, "--help"]);
      expect(help.code).toBe(0);
      for (const table of Object.values(description.options)) {
        for (const option of Object.keys(table)) expect(help.stdout).toContain(`--${option}`);
      }
    }
  });

  it("comes without a command, too, and is no success then", async () => {
    expect(await cli([])).toMatchObject({ code: 64, stdout: expect.stringContaining("smtplib COMMAND") });
  });

  it.each([PROBE, SEND, SERVE])("has one meaning for each option of $name", ({ options }) => {
    const names = Object.values(options).flatMap((table) => Object.keys(table));
    const letters = Object.values(options).flatMap((table) => Object.values(table).flatMap(({ short }) => short ?? []));
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(letters).size).toBe(letters.length);
  });
});

it("has the version of the package", async () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(await cli(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` });
});
