/** A server that disconnects, is silent or sends garbage, at every stage, with and without PIPELINING. */
import { SMTPConnectError, SMTPServerDisconnected, SMTPTimeoutError } from "../../src/index.ts";
import {
  type Act,
  type Answers,
  close,
  delay,
  ehlo,
  halfClose,
  raw,
  reset,
  server,
  stall,
} from "../support/scripted-server.ts";
import { type Scenario, scenarios, type Thrown } from "./scenario.ts";

/** Whether the server offers PIPELINING. */
const MODES: readonly [name: string, hello: Act][] = [
  ["lock-step", ehlo("8BITMIME")],
  ["pipelined", ehlo("PIPELINING", "8BITMIME")],
];

/** The stages of a delivery: the verb with the faulty reply, and the outcome of the message then. */
const STAGES: readonly { verb: string; delivery: "not-sent" | "unknown"; phase: string }[] = [
  { verb: "greeting", delivery: "not-sent", phase: "greeting" },
  { verb: "EHLO", delivery: "not-sent", phase: "command" },
  { verb: "MAIL", delivery: "not-sent", phase: "envelope" },
  { verb: "RCPT", delivery: "not-sent", phase: "envelope" },
  { verb: "DATA", delivery: "not-sent", phase: "dataInit" },
  { verb: ".", delivery: "unknown", phase: "dataDone" },
];

function at(verb: string, act: Act, hello: Act): Act {
  const answers: Answers = { EHLO: hello };
  return verb === "greeting" ? server(answers, act) : server({ ...answers, [verb]: act });
}

const FAULTS: readonly { name: string; act: Act; throws: Thrown }[] = [
  { name: "closes", act: close, throws: { type: SMTPServerDisconnected } },
  // An immediate reset may reach the client while it still connects.
  { name: "resets", act: [delay(0.01), reset], throws: { type: SMTPServerDisconnected } },
  { name: "ends its side only", act: halfClose, throws: { type: SMTPServerDisconnected } },
  {
    name: "closes in the middle of a line",
    act: [raw("250 2.0.0 que"), close],
    throws: { type: SMTPServerDisconnected },
  },
  { name: "closes behind a CR", act: [raw("250 ok\r"), close], throws: { type: SMTPServerDisconnected } },
  { name: "closes in a multi-line reply", act: ["250-one", close], throws: { type: SMTPServerDisconnected } },
  {
    name: "says nonsense",
    act: ["HTTP/1.1 400 Bad Request"],
    throws: { type: SMTPServerDisconnected, message: /not a reply/ },
  },
  {
    name: "says octets of TLS",
    act: [Uint8Array.of(21, 3, 1, 0, 2, 2, 70, 10)],
    throws: { type: SMTPServerDisconnected },
  },
  { name: "never ends a line", act: [raw("2".repeat(9000))], throws: { type: SMTPServerDisconnected } },
];

const gone: Scenario[] = MODES.flatMap(([mode, hello]) =>
  STAGES.filter(({ verb }) => mode === "pipelined" || !["greeting", "EHLO"].includes(verb)).flatMap(
    ({ verb, delivery }) =>
      FAULTS.map(({ name, act, throws }): Scenario => {
        const nonsense = throws.message !== undefined || /octets|never/.test(name);
        const expected: Thrown =
          verb !== "greeting"
            ? { ...throws, delivery, temporary: true }
            : nonsense
              ? { type: SMTPConnectError, smtp_code: -1 }
              : { ...throws };
        return {
          name: `a server that ${name} at ${verb}, ${mode}`,
          server: at(verb, act, hello),
          throws: expected,
          connected: false,
        };
      }),
  ),
);

const silent: Scenario[] = MODES.flatMap(([mode, hello]) =>
  STAGES.map(({ verb, delivery, phase }) => ({
    name: `a server that says nothing at ${verb}, ${mode}`,
    server: at(verb, stall, hello),
    options: { timeouts: { [phase]: 0.1 } },
    throws: {
      type: SMTPTimeoutError,
      ...(verb === "greeting" ? {} : { delivery }),
      phase,
      temporary: true,
    },
    connected: false,
    within: 0.6,
  })),
);

scenarios("faults: gone", gone, ["loopback", "memory"]);
scenarios("faults: silent", silent);
