/**
 * A message whose reply is lost after some recipients were refused: the error names them, since they did not get it.
 */
import { expect, it, onTestFinished } from "vitest";
import { LMTP, SMTP, type SMTPOptions, SMTPPool, SMTPServerDisconnected } from "../../src/index.ts";
import { startServer } from "../../src/testing/index.ts";
import { failureOf } from "../servers/failure.ts";

const to = ["a@example.net", "gone@example.net", "b@example.net"];
const letter = "Subject: Hello\r\n\r\nHi!\r\n";

type Way = {
  readonly name: string;
  readonly extensions: readonly string[];
  readonly options: SMTPOptions;
  readonly body: string | (() => AsyncIterable<Uint8Array>);
};

async function* stream(): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(letter);
}

const WAYS: readonly Way[] = [
  { name: "DATA, in one group", extensions: ["PIPELINING"], options: {}, body: letter },
  { name: "DATA, command by command", extensions: [], options: {}, body: letter },
  { name: "DATA from a stream", extensions: ["PIPELINING"], options: {}, body: stream },
  { name: "BDAT", extensions: ["PIPELINING", "CHUNKING"], options: { chunking: true }, body: letter },
  { name: "BDAT from a stream", extensions: ["CHUNKING"], options: { chunking: true }, body: stream },
  { name: "one flight", extensions: ["PIPELINING", "CHUNKING"], options: { pipelining: "eager" }, body: letter },
];

const contentOf = ({ body }: Way): string | AsyncIterable<Uint8Array> => (typeof body === "string" ? body : body());

/** A server that refuses one recipient and disconnects after the end of the message. */
function startLossy(extensions: readonly string[], protocol: "smtp" | "lmtp" = "smtp"): ReturnType<typeof startServer> {
  const server = startServer({
    protocol,
    extensions,
    answers: {
      rcpt: ({ address = "" }) => (address.startsWith("gone") ? "550 5.1.1 no such user" : undefined),
      message: { end: "close" },
    },
  });
  onTestFinished(() => server.close());
  return server;
}

function expectRefused(error: unknown): void {
  expect(error).toBeInstanceOf(SMTPServerDisconnected);
  if (!(error instanceof SMTPServerDisconnected)) return;
  expect(error.delivery).toBe("unknown");
  expect(Object.keys(error.refused ?? {})).toEqual(["gone@example.net"]);
  expect(error.refused?.["gone@example.net"]?.[0]).toBe(550);
}

it.each(WAYS)("by $name", async (way) => {
  const { extensions, options } = way;
  const server = startLossy(extensions);
  const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport, ...options });
  expectRefused(await failureOf(smtp.sendmail("ada@example.com", to, contentOf(way))));
  smtp.close();
});

it.each(WAYS)("by $name in a pool", async (way) => {
  const { extensions, options } = way;
  const server = startLossy(extensions);
  const pool = new SMTPPool({ host: "mail.example.com", transport: server.transport, reconnectFor: 0, ...options });
  expectRefused(await failureOf(pool.sendmail("ada@example.com", to, contentOf(way))));
  await pool.close();
});

it.each([["PIPELINING"], []])("by LMTP with %s", async (...extensions) => {
  const server = startLossy(extensions, "lmtp");
  const lmtp = await LMTP.connect("mail.example.com", 24, { transport: server.transport });
  expectRefused(await failureOf(lmtp.sendmail("ada@example.com", to, letter)));
  lmtp.close();
});

it.each([
  ["250 2.0.0 ok", ["a@example.net"], ["gone@example.net"]],
  ["452 4.2.2 full", undefined, ["a@example.net", "gone@example.net"]],
])("by LMTP also with the replies that came before: %s", async (reply, accepted, refused) => {
  const server = startServer({
    protocol: "lmtp",
    answers: {
      rcpt: ({ address = "" }) => (address.startsWith("gone") ? "550 5.1.1 no such user" : undefined),
      message: ({ address }) => (address === "a@example.net" ? reply : { end: "close" }),
    },
  });
  onTestFinished(() => server.close());
  const lmtp = await LMTP.connect("mail.example.com", 24, { transport: server.transport });
  const error = await failureOf(lmtp.sendmail("ada@example.com", to, letter));
  expect(error).toMatchObject({ delivery: "unknown" });
  expect(Reflect.get(Object(error), "accepted")).toEqual(accepted);
  expect(Object.keys(Reflect.get(Object(error), "refused"))).toEqual(refused);
  lmtp.close();
});

it("not where all were accepted, and not where the outcome is known", async () => {
  const server = startLossy(["PIPELINING"]);
  const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport });
  const error = await failureOf(smtp.sendmail("ada@example.com", ["a@example.net"], letter));
  expect(error).not.toHaveProperty("refused");
  smtp.close();
});
