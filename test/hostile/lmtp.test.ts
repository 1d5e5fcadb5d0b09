/**
 * LMTP: one reply for each recipient after the data, and servers that send another number of replies (RFC 2033 4.2;
 * SECURITY.md, rule 7).
 */
import { expect } from "vitest";
import {
  type LMTP,
  type SMTP,
  SMTPDataError,
  SMTPHeloError,
  SMTPRecipientsRefused,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import {
  type Act,
  type Answers,
  close,
  delay,
  ehlo,
  inOrder,
  raw,
  reset,
  server,
  stall,
} from "../support/scripted-server.ts";
import { type Scenario, scenarios } from "./scenario.ts";

const MODES: readonly [string, Act][] = [
  ["lock-step", ehlo("8BITMIME")],
  ["pipelined", ehlo("PIPELINING", "8BITMIME")],
];

const LHLO = /^LHLO /;
const THREE = ["b@lab.test", "c@lab.test", "d@lab.test"];

type Row = Omit<Scenario, "server" | "client"> & { readonly answers: Answers; readonly to?: readonly string[] };

const send = (to: readonly string[] = THREE) => {
  return (lmtp: SMTP | LMTP): Promise<unknown> => lmtp.sendmail("a@client.test", to, "x\r\n");
};

const rows: Row[] = [
  {
    name: "all delivered",
    answers: { ".": ["250 b", "250 c", "250 d"] },
    gives: {},
    connected: true,
  },
  {
    name: "one of three fails after the data",
    answers: { ".": ["250 b", "550 5.2.2 full", "250 d"] },
    gives: { "c@lab.test": [550, "5.2.2 full"] },
    connected: true,
  },
  {
    name: "one is refused by RCPT, one after the data",
    answers: { RCPT: inOrder("250 ok", "551 moved", "250 ok"), ".": ["452 full", "250 d"] },
    gives: { "b@lab.test": [452, "full"], "c@lab.test": [551, "moved"] },
    connected: true,
  },
  {
    name: "all fail after the data",
    answers: { ".": ["550 b", "552 c", "550 d"] },
    throws: {
      type: SMTPRecipientsRefused,
      delivery: "rejected",
      fields: { recipients: { "b@lab.test": { code: 550 }, "c@lab.test": { code: 552 }, "d@lab.test": { code: 550 } } },
    },
    connected: true,
  },
  {
    name: "all fail after the data, one of them for now",
    answers: { ".": ["550 b", "450 c", "550 d"] },
    throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary: true },
    connected: true,
  },
  {
    name: "all are refused by RCPT",
    answers: { RCPT: "550 no", DATA: "503 no" },
    throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary: false },
    connected: true,
  },
  {
    name: "the sender is refused",
    answers: { MAIL: "550 no", RCPT: "503 no", DATA: "503 no" },
    throws: { type: SMTPSenderRefused, smtp_code: 550, delivery: "rejected" },
    connected: true,
  },
  {
    name: "DATA is refused",
    answers: { DATA: "451 later" },
    throws: { type: SMTPDataError, smtp_code: 451, delivery: "rejected", temporary: true },
    connected: true,
  },
  {
    name: "the same recipient twice gets two replies",
    to: ["b@lab.test", "b@lab.test"],
    answers: { ".": ["250 one", "250 two"] },
    gives: {},
    connected: true,
  },
  {
    name: "the same recipient twice, once refused",
    to: ["b@lab.test", "b@lab.test"],
    answers: { ".": ["250 one", "550 already has it"] },
    connected: true,
    check: (_, __, outcome) => expect(outcome).toHaveProperty("value"),
  },
  {
    name: "fewer replies than recipients, then the end",
    answers: { ".": ["250 b", "550 c", close] },
    throws: {
      type: SMTPServerDisconnected,
      delivery: "unknown",
      temporary: true,
      fields: { replies: [{ code: 250 }, { code: 550 }] },
    },
    connected: false,
  },
  {
    name: "fewer replies than recipients, then a reset",
    answers: { ".": ["250 b", "250 c", delay(0.02), reset] },
    throws: { type: SMTPServerDisconnected, delivery: "unknown", fields: { replies: [{ code: 250 }, { code: 250 }] } },
    connected: false,
  },
  {
    name: "fewer replies than recipients, then silence",
    options: { timeouts: { dataDone: 0.5 } },
    answers: { ".": ["250 b", stall] },
    throws: {
      type: SMTPTimeoutError,
      phase: "dataDone",
      delivery: "unknown",
      fields: { replies: [{ code: 250 }] },
    },
    connected: false,
    within: 0.6,
  },
  {
    name: "no reply at all, then the end",
    answers: { ".": close },
    throws: { type: SMTPServerDisconnected, delivery: "unknown", fields: { replies: [] } },
    connected: false,
  },
  {
    name: "half of the last reply, then the end",
    answers: { ".": ["250 b", "250 c", raw("250 d"), close] },
    throws: { type: SMTPServerDisconnected, delivery: "unknown", fields: { replies: [{ code: 250 }, { code: 250 }] } },
    connected: false,
  },
  {
    name: "421 in place of the second reply",
    answers: { ".": ["250 b", "421 bye", close] },
    throws: { type: SMTPServerDisconnected, delivery: "unknown" },
    connected: false,
  },
  {
    name: "nonsense in place of the second reply",
    answers: { ".": ["250 b", "what", stall] },
    throws: { type: SMTPServerDisconnected, delivery: "unknown", fields: { replies: [{ code: 250 }] } },
    connected: false,
  },
  {
    name: "a reply too many: the message counts, the session is over",
    answers: { ".": ["250 b\r\n250 c\r\n250 d\r\n250 e"] },
    gives: {},
    connected: false,
  },
  {
    name: "a reply for a recipient that RCPT refused: the message counts, the session is over",
    answers: { RCPT: inOrder("250 ok", "550 no", "250 ok"), ".": ["250 b\r\n550 c\r\n250 d"] },
    gives: { "c@lab.test": [550, "no"], "d@lab.test": [550, "c"] },
    connected: false,
  },
  {
    name: "slow replies each have their own time",
    options: { timeouts: { dataDone: 0.25 } },
    answers: { ".": [delay(0.1), "250 b", delay(0.1), "250 c", delay(0.1), "250 d"] },
    gives: {},
    connected: true,
  },
  {
    name: "LHLO refused: no HELO, no MAIL",
    answers: { LHLO: "500 what" },
    throws: { type: SMTPHeloError, smtp_code: 500, delivery: "not-sent" },
    connected: true,
    lines: [LHLO],
  },
  {
    name: "354 although all recipients were refused",
    answers: { RCPT: "550 no", ".": [] },
    throws: { type: SMTPRecipientsRefused, delivery: "rejected" },
    connected: false,
  },
];

const basic: Scenario[] = MODES.flatMap(([mode, hello]) =>
  rows
    // If no recipient is accepted, the client sends DATA only in one flight with RCPT.
    .filter(({ name }) => !(mode === "lock-step" && name.startsWith("354 although")))
    .map(
      ({ answers, to, ...row }): Scenario => ({
        call: send(to),
        ...row,
        name: `${row.name}, ${mode}`,
        client: "LMTP",
        server: server({ LHLO: hello, ...answers }),
      }),
    ),
);

const rest: Scenario[] = [
  {
    name: "several messages at once, with partial failures",
    client: "LMTP",
    server: server({
      ".": inOrder(["250 1b", "550 1c", "250 1d"], ["550 2b", "550 2c", "550 2d"], ["250 3b", "250 3c", "250 3d"]),
    }),
    call: (lmtp) =>
      Promise.all(
        [1, 2, 3].map(() =>
          send()(lmtp).then(
            (refused) => Object.keys(refused ?? {}).length,
            (error: Error) => error.name,
          ),
        ),
      ),
    gives: [1, "SMTPRecipientsRefused", 0],
    connected: true,
    bodies: ["x\r\n.\r\n", "x\r\n.\r\n", "x\r\n.\r\n"],
  },
  {
    name: "the second of three messages loses its replies: what came before counts, what comes after is not sent",
    client: "LMTP",
    server: server({ ".": inOrder(["250 1b", "250 1c", "250 1d"], ["250 2b", close]) }),
    call: (lmtp) =>
      Promise.all(
        [1, 2, 3].map(() =>
          send()(lmtp).then(
            () => "ok",
            (error: Error & { delivery?: string }) => error.delivery,
          ),
        ),
      ),
    gives: ["ok", "unknown", "not-sent"],
    connected: false,
  },
  {
    name: "deliver() tells who was accepted, with a reply each",
    client: "LMTP",
    server: server({ RCPT: inOrder("250 ok", "550 no", "250 ok"), ".": ["250 b", "450 d"] }),
    call: async (lmtp) => {
      const { accepted, refused, reply, replies } = await lmtp.deliver({ from: "a@client.test", to: THREE, body: "x" });
      return { accepted, refused: Object.keys(refused), reply: reply.code, replies: replies.map(({ code }) => code) };
    },
    gives: { accepted: ["b@lab.test"], refused: ["c@lab.test", "d@lab.test"], reply: 450, replies: [250, 550, 450] },
    connected: true,
  },
  {
    name: "data() reads all replies and gives the last",
    client: "LMTP",
    server: server({ ".": ["250 b", "550 c"] }),
    call: async (lmtp) => {
      await lmtp.ehlo();
      await lmtp.mail("a@client.test");
      await lmtp.rcpt("b@lab.test");
      await lmtp.rcpt("c@lab.test");
      const reply = await lmtp.data("x");
      return [reply.code, (await lmtp.noop()).code];
    },
    gives: [550, 250],
    connected: true,
  },
  {
    name: "data() that loses a reply",
    client: "LMTP",
    server: server({ ".": ["250 b", close] }),
    call: async (lmtp) => {
      await lmtp.ehlo();
      await lmtp.mail("a@client.test");
      await lmtp.rcpt("b@lab.test");
      await lmtp.rcpt("c@lab.test");
      return lmtp.data("x");
    },
    throws: { type: SMTPServerDisconnected, delivery: "unknown" },
    connected: false,
  },
  {
    name: "an early failure in the middle of the body",
    client: "LMTP",
    server: server({ DATA: ["354 go", { does: "take", octets: 100_000 }, "552 too big", close] }),
    call: (lmtp) => lmtp.sendmail("a@client.test", THREE, "x".repeat(20_000_000)),
    throws: { type: SMTPDataError, smtp_code: 552, delivery: "rejected" },
    connected: false,
  },
];

scenarios("lmtp", basic);
// Without the scenarios in which several replies arrive in one packet: in memory, replies arrive in small pieces.
scenarios(
  "lmtp",
  basic.filter(({ name }) => !name.startsWith("a reply")),
  ["memory"],
);
scenarios("lmtp: sessions", rest);
