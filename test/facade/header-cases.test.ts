/** send_message() with real-life headers: the small files in the folder beside this one. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { reasonOf, session } from "../support/session.ts";

const octetsOf = (name: string): Uint8Array => readFileSync(new URL(`header-cases/${name}.eml`, import.meta.url));
const textOf = (name: string): string => new TextDecoder("latin1").decode(octetsOf(name));

/** The lines of MAIL and RCPT, and the content. */
async function sent(
  name: string,
  ehlo: readonly string[] = ["8BITMIME", "SMTPUTF8", "SIZE"],
): Promise<{ mail: string; to: string[]; content: string }> {
  const { server, smtp } = await session({ ehlo });
  await smtp.send_message(octetsOf(name));
  const [, mail = "", ...lines] = server.lines;
  const to = lines.filter((line) => line.startsWith("RCPT")).map((line) => /<(.*)>/.exec(line)?.[1] ?? "");
  return { mail: mail.replace(/ SIZE=\d+/, ""), to, content: server.messages[0] ?? "" };
}

describe("the recipients", () => {
  test.each<[file: string, to: string[]]>([
    ["1a-local-names-in-angles", ["mary", "charles"]],
    ["1b-local-name-then-address", ["mary", "charles@example.net"]],
    ["2a-mbox-line-behind-return-path", ["charles@example.net"]],
    ["2b-mbox-line-before-bcc", ["charles@example.net", "mary@example.net"]],
    ["3b-colon-line-before-bcc", ["charles@example.net", "mary@example.net"]],
    ["6a-null-path-and-bcc", ["mary@example.net"]],
    ["6b-empty-group-and-bcc", ["mary@example.net"]],
    ["7a-same-address-as-name", ["charles@example.net"]],
    ["8a-encoded-word-with-parenthesis", ["charles@example.net"]],
  ])("of %s are %j, and the rest goes out as it is", async (name, expected) => {
    const { mail, to, content } = await sent(name);
    expect(mail).toBe("MAIL FROM:<ada@example.com>");
    expect(to).toEqual(expected);
    expect(content).toBe(
      `${textOf(name)
        .replace(/^Bcc: .*\n/m, "")
        .trimEnd()}\n`.replaceAll("\n", "\r\n"),
    );
  });

  test.each([
    ["1e-right-to-refuse", /unquoted comma/],
    ["5a-encoded-word-as-domain", /encoded word/],
  ])("of %s are refused before a byte is written", async (name, why) => {
    const { server, smtp } = await session();
    const error = await reasonOf(smtp.send_message(octetsOf(name)));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toHaveProperty("message", expect.stringMatching(why));
    expect(server.lines).toEqual([]);
  });
});

describe("a subject", () => {
  test.each([[["8BITMIME", "SMTPUTF8", "SIZE"]], [["8BITMIME"]]])(
    "in Latin-1 needs 8BITMIME, and no SMTPUTF8: %j",
    async (ehlo) => {
      expect(await sent("4a-latin1-subject", ehlo)).toMatchObject({
        mail: "MAIL FROM:<ada@example.com> BODY=8BITMIME",
      });
    },
  );

  test("in UTF-8 needs SMTPUTF8", async () => {
    expect(await sent("4c-utf8-subject")).toMatchObject({ mail: "MAIL FROM:<ada@example.com> SMTPUTF8 BODY=8BITMIME" });
    expect(await reasonOf(sent("4c-utf8-subject", ["8BITMIME"]))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability: "SMTPUTF8",
      delivery: "not-sent",
    });
  });
});

describe("a message without a sender says where it was looked for:", () => {
  test.each([
    ["To: b@x.y\n\nx", "Sender nor From"],
    [
      "Resent-Date: Mon, 5 Jan 2026 10:00:00 +0000\nResent-To: c@x.y\nFrom: a@x.y\n\nx",
      "Resent-Sender nor Resent-From",
    ],
  ])("%j has neither %s", async (message, fields) => {
    const { smtp } = await session();
    const error = await reasonOf(smtp.send_message(message));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty("message", expect.stringContaining(`neither ${fields}`));
  });
});
