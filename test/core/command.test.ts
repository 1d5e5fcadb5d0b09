/** Every command line, its wire format, and that nothing shows a secret (SECURITY.md, rules 1 and 8). */
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { parseMailbox } from "../../src/core/address.ts";
import { authCancel, authCommand, authResponse, lineLength } from "../../src/core/auth-command.ts";
import { encodeBase64 } from "../../src/core/base64.ts";
import { utf8 } from "../../src/core/bytes.ts";
import { Command } from "../../src/core/command.ts";
import { ownCommand } from "../../src/core/own-command.ts";

const box = (address: string) => parseMailbox(address, "address");

describe("the line", () => {
  test.each<[wire: string, command: Command, verb: string, phase: string]>([
    ["EHLO client.example.com\r\n", Command.hello("EHLO", "client.example.com"), "EHLO", "command"],
    ["HELO [127.0.0.1]\r\n", Command.hello("HELO", "[127.0.0.1]"), "HELO", "command"],
    ["LHLO [IPv6:::1]\r\n", Command.hello("LHLO", "[IPv6:::1]"), "LHLO", "command"],
    ["MAIL FROM:<a@example.com>\r\n", Command.mail(box("a@example.com")), "MAIL", "envelope"],
    ["MAIL FROM:<>\r\n", Command.mail(box("")), "MAIL", "envelope"],
    [
      "MAIL FROM:<a@b.c> SIZE=1 BODY=8BITMIME\r\n",
      Command.mail(box("A <a@b.c>"), ["SIZE=1", "BODY=8BITMIME"]),
      "MAIL",
      "envelope",
    ],
    ["RCPT TO:<postmaster>\r\n", Command.rcpt(box("postmaster")), "RCPT", "envelope"],
    [
      "RCPT TO:<ü@example.com> NOTIFY=NEVER\r\n",
      Command.rcpt(box("ü@example.com"), ["NOTIFY=NEVER"]),
      "RCPT",
      "envelope",
    ],
    ["DATA\r\n", Command.data(), "DATA", "dataInit"],
    ["RSET\r\n", Command.simple("RSET"), "RSET", "command"],
    ["QUIT\r\n", Command.simple("QUIT"), "QUIT", "quit"],
    ["STARTTLS\r\n", Command.simple("STARTTLS"), "STARTTLS", "command"],
    ["AUTH CRAM-MD5\r\n", authCommand("CRAM-MD5"), "AUTH", "command"],
    ["AUTH PLAIN AGEAYg==\r\n", authCommand("PLAIN", utf8("\0a\0b")), "AUTH", "command"],
    ["AUTH EXTERNAL =\r\n", authCommand("EXTERNAL", utf8("")), "AUTH", "command"],
    ["YQ==\r\n", authResponse(utf8("a")), "", "command"],
    ["\r\n", authResponse(utf8("")), "", "command"],
    ["*\r\n", authCancel(), "", "command"],
    ["NOOP\r\n", ownCommand("NOOP", ""), "NOOP", "command"],
    ["vrfy user\r\n", ownCommand("vrfy", "user"), "VRFY", "command"],
    ["XFOO a  b \r\n", ownCommand("XFOO", "a  b "), "XFOO", "command"],
    ["auth\r\n".toUpperCase(), ownCommand("AUTH", ""), "AUTH", "command"],
  ])("%j", (wire, command, verb, phase) => {
    expect(command.wire).toBe(wire);
    expect(command).toMatchObject({ verb, phase });
    expect(lineLength(command)).toBe(utf8(wire).length);
  });

  test.each([
    ["AUTH", "PLAIN c2VjcmV0"],
    ["auth", "PLAIN c2VjcmV0"],
    ["AUTH PLAIN", "c2VjcmV0"],
    ["AUTH PLAIN c2VjcmV0", ""],
    ["AUTH  PLAIN", "c2VjcmV0"],
    [" AUTH PLAIN", " c2VjcmV0"],
  ])("of docmd(%j, %j) says what was given", (verb, args) => {
    const words = (line: string): string[] => line.trim().toUpperCase().split(/ +/);
    expect(words(ownCommand(verb, args).wire)).toEqual(words(`${verb} ${args}`));
  });

  test("counts octets, not characters", () => {
    expect(lineLength(Command.rcpt(box("ü@example.com")))).toBe("RCPT TO:<uu@example.com>\r\n".length);
  });
});

const controls = [...Array(32).keys(), 127].map((code) => String.fromCharCode(code));

describe("a control character", () => {
  const makers: [name: string, make: (text: string) => Command][] = [
    ["hello", (text) => Command.hello("EHLO", text)],
    ["mail", (text) => Command.mail({ path: text, ascii: true })],
    ["mail's parameter", (text) => Command.mail(box("a@b.c"), ["SIZE=1", text])],
    ["rcpt", (text) => Command.rcpt({ path: text, ascii: true })],
    ["rcpt's parameter", (text) => Command.rcpt(box("a@b.c"), [text])],
    ["auth", (text) => authCommand(text)],
    ["auth with a response", (text) => authCommand(text, utf8("x"))],
    ["other's verb", (text) => ownCommand(text, "x")],
    ["other's argument", (text) => ownCommand("NOOP", text)],
    ["docmd's credentials", (text) => ownCommand("AUTH", `PLAIN ${text}`)],
  ];

  test.each(makers)("never gets into a line by %s", (_, make) => {
    for (const control of controls) {
      for (const text of [control, `a${control}`, `${control}a`, `a${control}RSET`]) {
        expect(() => make(text), JSON.stringify(text)).toThrow(RangeError);
      }
    }
  });

  test.each(makers.slice(0, -1))("is looked for in what %s reads once: only string primitives are taken", (_, make) => {
    const reads: string[] = ["harmless", "x\r\nRSET"];
    const shifty: unknown = { toString: () => reads.shift() ?? "", trim: () => "x" };
    const bad: unknown[] = [shifty, ["a"], 1, null, undefined, new String("a")];
    // biome-ignore lint/suspicious/noExplicitAny: a caller without types may pass any value
    for (const value of bad) expect(() => make(value as any)).toThrow(TypeError);
  });
});

describe("an ESMTP parameter", () => {
  test.each(["", " ", "SIZE=1 AUTH=x", " SIZE=1"])("that is not exactly one is refused: %j", (parameter) => {
    expect(() => Command.mail(box("a@b.c"), [parameter])).toThrow(RangeError);
    expect(() => Command.rcpt(box("a@b.c"), [parameter])).toThrow(RangeError);
  });
});

describe("a secret", () => {
  const password = "correct horse battery staple";
  const base64 = encodeBase64(utf8(password));
  const commands: [string, Command][] = [
    ["an initial response", authCommand("PLAIN", utf8(password))],
    ["an answer to a challenge", authResponse(utf8(password))],
    ["docmd's arguments", ownCommand("AUTH", `PLAIN ${base64}`)],
    ["docmd's arguments in lower case", ownCommand("auth", `plain ${base64}`)],
    ["docmd's verb", ownCommand(`AUTH PLAIN ${base64}`, "")],
    ["docmd's verb behind a space", ownCommand(` AUTH PLAIN ${base64}`, "")],
  ];

  test.each(commands)("in %s is sent, and shows nowhere else", (_, command) => {
    expect(command.wire).toContain(base64);
    expect(command.shown).toContain("***");
    const views = [
      command.shown,
      command.verb,
      JSON.stringify(command),
      String(command),
      inspect(command, { showHidden: true, depth: 9 }),
      inspect([{ command }], { depth: 9 }),
      JSON.stringify(Object.entries(Object.getOwnPropertyDescriptors(command))),
      JSON.stringify({ ...command }),
    ];
    for (const view of views) {
      expect(view.toLowerCase()).not.toContain(base64.toLowerCase());
      expect(view).not.toContain(password);
    }
  });

  test("is masked in a server's echo of it, in each of its forms", () => {
    const command = authCommand("PLAIN", utf8(`\0user\0${password}`));
    const sent = command.wire.split(" ")[2]?.trim() ?? "";
    expect(command.hide(`I do not like ${sent}, ${sent}`)).toBe("I do not like ***, ***");
    expect(command.hide(`I do not like ${password}!`)).toBe("I do not like ***!");
    expect(command.hide("nothing of that kind")).toBe("nothing of that kind");
    expect(authCommand("LOGIN").hide("anything")).toBe("anything");
    expect(authCommand("EXTERNAL", utf8("")).hide("a = b")).toBe("a = b");
  });

  test("that is not the secret stays readable", () => {
    expect(authCommand("PLAIN", utf8("x")).shown).toBe("AUTH PLAIN ***");
    expect(ownCommand("AUTH", "LOGIN").shown).toBe("AUTH LOGIN");
    expect(authCancel().shown).toBe("*");
  });
});
