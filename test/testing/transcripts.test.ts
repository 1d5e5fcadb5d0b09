/** Transcripts: the recorded and the omitted parts, and whether the client sends the same again. */
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { SMTP, type SMTPOptions, SMTPServerDisconnected, type Transport } from "../../src/index.ts";
import { recordTranscript, replayTranscript, startServer, type TestServerOptions } from "../../src/testing/index.ts";
import { escapeOctets, formatEntry, parseTranscript, unescapeOctets } from "../../src/testing/transcript.ts";
import { memoryTransport } from "../../transports/memory.ts";
import { connect } from "../../transports/node.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { bytes, readText, readToEnd, reasonOf } from "../transports/bytes.ts";

const letter = "Subject: Hello\r\n\r\nGrüße\r\n.\r\n";

type Dialogue = (transport: Transport, options?: SMTPOptions) => Promise<void>;

/** The actions of a client in a session. */
const dialogue: Dialogue = async (transport, options = {}) => {
  const smtp = await SMTP.connect("mail.example.com", 587, { transport, ...options });
  onTestFinished(() => smtp.close());
  if (smtp.esmtp_features["starttls"] !== undefined || (await smtp.ehlo()).message.includes("STARTTLS")) {
    await smtp.starttls();
  }
  await smtp.login("ada", "correct horse", { mechanisms: ["PLAIN"] });
  await smtp.sendmail("ada@example.com", ["charles@example.net", "mary@example.net"], letter);
  await smtp.quit();
};

async function recorded(how: Dialogue, options: TestServerOptions = {}): Promise<string> {
  const server = startServer({ auth: { user: "ada", password: "correct horse" }, ...options });
  const recording = recordTranscript(server.transport);
  await how(recording.transport);
  await server.close();
  return recording.transcript;
}

describe("a recording", () => {
  it("tells who said what, where TLS begins, and no password", async () => {
    const transcript = await recorded(dialogue, { extensions: ["8BITMIME"] });
    expect(transcript).toBe(`CONNECT mail.example.com:587
S: 220 mail.test ESMTP test server
C: EHLO [127.0.0.1]
S: 250-mail.test
S: 250-8BITMIME
S: 250-STARTTLS
S: 250 AUTH PLAIN LOGIN XOAUTH2
C: STARTTLS
S: 220 2.0.0 go ahead
TLS
C: EHLO [127.0.0.1]
S: 250-mail.test
S: 250-8BITMIME
S: 250 AUTH PLAIN LOGIN XOAUTH2
C: AUTH PLAIN ***
S: 235 2.7.0 welcome
C: MAIL FROM:<ada@example.com> BODY=8BITMIME
S: 250 2.1.0 OK
C: RCPT TO:<charles@example.net>
S: 250 2.1.5 OK
C: RCPT TO:<mary@example.net>
S: 250 2.1.5 OK
C: DATA
S: 354 end with a dot alone on its line
C: Subject: Hello
C:
C: Grüße
C: ..
C: .
S: 250 2.0.0 taken
C: QUIT
S: 221 2.0.0 bye
`);
  });

  it("keeps secrets out that are said in responses, and echoed", async () => {
    const transcript = await recorded(
      async (transport) => {
        const smtp = await SMTP.connect("mail.example.com", 587, { transport });
        await smtp
          .login("ada lovelace", "correct-horse", { mechanisms: ["LOGIN"], initial_response_ok: false })
          .catch(() => {});
        await smtp.quit();
      },
      { auth: "any", answers: { auth: "535 5.7.8 no correct-horse, lovelace" } },
    );
    expect(transcript).toContain("C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: ***\nS: 334 UGFzc3dvcmQ6\nC: ***\n");
    for (const secret of ["correct-horse", "lovelace", btoa("correct-horse"), btoa("ada lovelace")]) {
      expect(transcript).not.toContain(secret);
    }
  });

  it("keeps pieces without a line end, bare line feeds and octets that are no text, and goes through again", async () => {
    const server = memoryTransport(async (stream) => {
      await stream.write(bytes("220 hi\r\n"));
      await stream.read();
      await stream.write(bytes("250 a\n250 b\r\n"));
      await stream.close();
    });
    const dialogueOf = async (transport: Transport): Promise<void> => {
      const stream = await transport({ path: "/run/lmtp" }, {});
      await readText(stream, 8);
      await stream.write(Uint8Array.of(0x5c, 0xff, 0x20));
      expect(await readToEnd(stream)).toBe("250 a\n250 b\r\n");
      expect(await stream.read()).toBeNull();
    };
    const recording = recordTranscript(server);
    await dialogueOf(recording.transport);
    expect(recording.transcript).toBe(
      "CONNECT /run/lmtp\nS: 220 hi\nC> \\\\\\xff\\x20\nS> 250 a\\x0a\nS: 250 b\nEND\n",
    );
    await using replay = replayTranscript(recording.transcript);
    await dialogueOf(replay.transport);
  });

  it("keeps a response that is no base64 for itself, too, and tells that the client gave up", async () => {
    const recording = recordTranscript(
      memoryTransport(async (server) => {
        for (const text of ["220 hi", "334 VXNlcjo=", "334 again, not sesame!", "501 cancelled"]) {
          await server.write(bytes(`${text}\r\n`));
          await server.read();
        }
      }),
    );
    const stream = await recording.transport({ host: "a", port: 25 }, {});
    for (const line of ["AUTH LOGIN", "sesame!", "*", "QUIT"]) {
      await stream.read();
      await stream.write(bytes(`${line}\r\n`));
    }
    expect(recording.transcript).toBe(
      `CONNECT a:25
S: 220 hi
C: AUTH LOGIN
S: 334 VXNlcjo=
C: ***
S: 334 again, not ***
C: *
S: 501 cancelled
C: QUIT
`,
    );
  });

  it("keeps SCRAM's challenges out, by which a password can be guessed without the server", async () => {
    const challenge = btoa("r=clientnonceservernonce,s=c2FsdA==,i=4096");
    const recording = recordTranscript(
      memoryTransport(async (server) => {
        for (const text of ["220 hi", `334 ${challenge}`, `334 ${btoa("v=signature")}`, "235 welcome"]) {
          await server.write(bytes(`${text}\r\n`));
          await server.read();
        }
      }),
    );
    const stream = await recording.transport({ host: "a", port: 25 }, {});
    for (const line of [`AUTH SCRAM-SHA-256 ${btoa("n,,n=ada,r=clientnonce")}`, btoa("c=biws,r=x,p=y"), "=", "NOOP"]) {
      await stream.read();
      await stream.write(bytes(`${line}\r\n`));
    }
    expect(recording.transcript).toBe(
      "CONNECT a:25\nS: 220 hi\nC: AUTH SCRAM-SHA-256 ***\nS: 334 ***\nC: ***\nS: 334 ***\nC: ***\nS: 235 welcome\nC: NOOP\n",
    );
  });

  it("is of any transport: a real server's dialogue under TLS, in clear", async () => {
    await using server = await startEmbeddedServer({ auth: { user: "ada", password: "correct horse" } });
    const recording = recordTranscript(connect);
    const smtp = await SMTP.connect("localhost", server.port, { transport: recording.transport });
    await smtp.starttls({ ca: server.ca });
    await smtp.login("ada", "correct horse", { mechanisms: ["PLAIN"] });
    await smtp.sendmail("ada@example.com", "charles@example.net", letter);
    await smtp.quit();
    expect(recording.transcript).toMatch(/^TLS$/m);
    expect(recording.transcript).toMatch(/^C: Grüße$/m);
    const replay = replayTranscript(recording.transcript);
    const again = await SMTP.connect("localhost", server.port, { transport: replay.transport });
    await again.starttls();
    await again.login("anybody", "anything", { mechanisms: ["PLAIN"] });
    await again.sendmail("ada@example.com", "charles@example.net", letter);
    await again.quit();
    await replay.finish();
  });
});

describe("a recording with times", () => {
  it("tells when each piece was written or read, and goes through again", async () => {
    const server = startServer({ auth: { user: "ada", password: "correct horse" } });
    const recording = recordTranscript(server.transport, { times: true });
    await dialogue(recording.transport);
    await server.close();
    const { transcript } = recording;
    const times = Array.from(transcript.matchAll(/^# (\d+\.\d{3}) ms$/gm), ([, time]) => Number(time));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(transcript).toMatch(/^# \S+ ms\nCONNECT mail\.example\.com:587\n# \S+ ms\nS: 220 /);
    expect(transcript).toMatch(/\n# \S+ ms\nTLS\n# TLSv1\.3\n/);
    // The lines of one write have one time.
    expect(transcript).toMatch(/# \S+ ms\nC: MAIL .*\nC: RCPT .*\nC: RCPT .*\nC: DATA\n# \S+ ms\nS: 250 /);
    const replay = replayTranscript(transcript);
    await dialogue(replay.transport);
    await replay.finish();
  });

  it.each([
    [
      "DATA",
      ["8BITMIME"],
      "C: DATA\nS: 354 end with a dot alone on its line\nC: Subject: Long\nC:\n# 3000 more octets\nC: .\n",
    ],
    [
      "pipelined DATA",
      ["PIPELINING"],
      "S: 354 end with a dot alone on its line\nC: Subject: Long\nC:\n# 3000 more octets\nC: .\n",
    ],
    ["BDAT", ["CHUNKING"], "C: BDAT 3017 LAST\nC: Subject: Long\nC:\n# 3000 more octets\nS: 250 2.0.0 taken\n"],
  ])("keeps as much of each message by %s as it is told to", async (_, extensions, expected) => {
    const server = startServer({ extensions });
    const whole = recordTranscript(server.transport);
    const heard: string[] = [];
    const told = recordTranscript(whole.transport, { maxContent: 20, onLine: (line) => heard.push(line) });
    const smtp = await SMTP.connect("mail.example.com", 25, { transport: told.transport, chunking: true });
    for (const _ of [1, 2]) {
      await smtp.sendmail("ada@example.com", "charles@example.net", `Subject: Long\n\n${"01234567\n".repeat(300)}`);
    }
    await smtp.quit();
    await server.close();
    expect(told.transcript.split(expected)).toHaveLength(3);
    expect(heard.join("\n")).toBe(told.transcript.trimEnd());
    expect(whole.transcript).not.toContain("more octets");
  });

  it("tells each line as it is recorded, with its session and its time", async () => {
    const server = startServer();
    const lines: { line: string; session: number; at: number }[] = [];
    const { transport } = recordTranscript(server.transport, {
      onLine: (line, about) => lines.push({ line, ...about }),
    });
    for (const port of [25, 26]) {
      const smtp = await SMTP.connect("mail.example.com", port, { transport });
      expect(lines.at(-1)).toMatchObject({ line: "S: 220 mail.test ESMTP test server", session: port - 24 });
      await smtp.quit();
    }
    await server.close();
    expect(lines.map(({ line }) => line).filter((line) => line.startsWith("CONNECT"))).toHaveLength(2);
    expect(lines.every(({ at }) => at >= 0)).toBe(true);
  });
});

describe("a replay", () => {
  it.each<[string, TestServerOptions]>([
    ["lock-step", { extensions: ["8BITMIME"] }],
    ["pipelined", { extensions: ["8BITMIME", "PIPELINING"] }],
    ["in chunks", { extensions: ["8BITMIME", "PIPELINING", "CHUNKING"] }],
    ["without TLS", { starttls: "absent" }],
    ["in pieces", { memory: { chunkSize: 1 } }],
    ["with a refusal", { answers: { rcpt: ({ address }) => (address?.startsWith("mary") ? "550 no" : undefined) } }],
  ])("goes through with a client that says the same again: %s", async (_, options) => {
    const transcript = await recorded(dialogue, options);
    const replay = replayTranscript(transcript);
    await dialogue(replay.transport);
    await replay.finish();
  });

  it("plays one session after the other", async () => {
    const twice: Dialogue = async (transport) => {
      await dialogue(transport);
      await dialogue(transport);
    };
    const transcript = await recorded(twice);
    const replay = replayTranscript(transcript);
    await twice(replay.transport);
    await replay.finish();
    const once = replayTranscript(transcript);
    await dialogue(once.transport);
    expect(String(await reasonOf(once.finish()))).toMatch(/a session was not begun/);
    const third = replayTranscript(transcript);
    await twice(third.transport);
    expect(await reasonOf(dialogue(third.transport))).toMatchObject({ name: "SMTPConnectError" });
    expect(String(await reasonOf(third.finish()))).toMatch(/not in the transcript/);
  });

  it("says where the client left it, and ends the connection there", async () => {
    const transcript = await recorded(dialogue, { extensions: ["8BITMIME"] });
    const replay = replayTranscript(transcript.replace("charles@", "karl@"));
    expect(await reasonOf(dialogue(replay.transport))).toBeInstanceOf(SMTPServerDisconnected);
    expect(String(await reasonOf(replay.finish()))).toMatch(
      /expected "RCPT TO:<karl@example\.net>", but the client said "RCPT TO:<charles@example\.net>"/,
    );
  });

  it("says what the client left out", async () => {
    const transcript = await recorded(dialogue, { extensions: ["8BITMIME"] });
    const replay = replayTranscript(transcript);
    const smtp = await SMTP.connect("mail.example.com", 587, { transport: replay.transport });
    await smtp.ehlo();
    smtp.close();
    expect(String(await reasonOf(replay.finish()))).toMatch(/the client never said "STARTTLS"/);
  });

  it.each<[string, string, RegExp]>([
    ["TLS", "TLS\nC: EHLO x", /the client never began TLS/],
    ["the rest of a line", "C: NOOP", /the client never said "NOOP"/],
  ])("says that the client left out %s", async (_, rest, says) => {
    const replay = replayTranscript(`CONNECT a:25\nS: 220 hi\n${rest}\n`);
    const stream = await replay.transport({ host: "a", port: 25 }, {});
    await readText(stream, 8);
    await stream.write(bytes("NO"));
    await stream.close();
    expect(String(await reasonOf(replay.finish()))).toMatch(says);
  });

  it("compares as it is told to", async () => {
    const text = "CONNECT a:25\nS: 220 hi\nC: EHLO x\nS: 250 hi\nC: QUIT\nS: 221 bye\nEND\n";
    const matches = (expected: string, said: string) => expected.slice(0, 4) === said.slice(0, 4);
    await using replay = replayTranscript(`# by hand\n\n${text}`, { matches });
    const smtp = await SMTP.connect("a", 25, { transport: replay.transport, local_hostname: "elsewhere" });
    await smtp.ehlo();
    await smtp.quit();
  });

  it.each(["S: 220 before CONNECT", "CONNECT a:25\nX: what", "CONNECT"])(
    "refuses what is no transcript: %j",
    (text) => {
      expect(() => replayTranscript(text)).toThrow(SyntaxError);
    },
  );
});

describe("a transcript's lines", () => {
  it("hold any octets, and give them back", () => {
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.string({ unit: "binary", maxLength: 20 }).map((text) => new TextEncoder().encode(text)),
      fc.stringMatching(/^[\\x0-9a-f ]{0,12}$/).map((text) => new TextEncoder().encode(text)),
    );
    fc.assert(
      fc.property(octets, fc.boolean(), (bytes, ended) => {
        const line = formatEntry({ does: "client", text: escapeOctets(bytes), ended });
        expect(line).not.toMatch(/[\r\n]/);
        const [[, entry] = []] = parseTranscript(`CONNECT a:1\n${line}`);
        if (entry === undefined || !("ended" in entry)) throw new Error("the line was lost");
        expect(entry.ended).toBe(ended);
        expect(unescapeOctets(entry.text)).toEqual(bytes);
      }),
    );
  });
});
