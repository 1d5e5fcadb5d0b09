/**
 * Defects that a client could have, each simulated between the client and its observers: in the transferred bytes, or
 * in the outcome of a call. The exploration must find each of them.
 */
import { type ByteStream, SMTPException, SMTPTimeoutError } from "../../src/index.ts";
import type { MessageCall, Outcome } from "./message-call.ts";

/** The outcome of a message's call, and the means to change it. */
export type Reported = {
  readonly outcome: Outcome;
  readonly message: MessageCall;
  /** Reports an outcome to the caller. */
  readonly settle: (outcome: Outcome) => void;
  /** Makes the same call once more. */
  readonly again: (settle: (outcome: Outcome) => void) => void;
};

/** A simulated defect. */
export type Defect = {
  /** Changes the client's stream. */
  readonly stream?: (stream: ByteStream) => ByteStream;
  /** Changes the outcome that the caller gets. */
  readonly report?: (reported: Reported) => void;
};

/** A defect, and the rule that it must break. */
export type Planted = {
  readonly name: string;
  readonly defect: Defect;
  readonly rule: RegExp;
  /** The configuration in which it appears. */
  readonly where: string;
  /** A path on which it appears. */
  readonly path: string;
};

const PLAIN = "smtp plain string/string 2/1";
const PIPELINING = "smtp pipelining string/string 2/1";
const DRIVEN = "smtp plain driven/string 1/2";
const CHUNKED = "smtp chunking driven/string 1/2";

export const PLANTED: readonly Planted[] = [
  {
    name: '"not-sent" after the end has left',
    defect: claims("unknown", "not-sent"),
    rule: /a message that may be taken is unknown/,
    where: PLAIN,
    path: "call 2, connect, ok, ok, ok, ok, ok",
  },
  {
    name: '"rejected" without a refusal',
    defect: claims("not-sent", "rejected"),
    rule: /"rejected" without a refusal/,
    where: PLAIN,
    path: "call 1",
  },
  {
    name: '"unknown" although the answer was there',
    defect: claims("rejected", "unknown"),
    rule: /"unknown" although the answer was there/,
    where: PLAIN,
    path: "call 1, connect, ok, ok, 3yz, ok",
  },
  {
    name: "a failure that says nothing of its message",
    defect: claims("not-sent", undefined),
    rule: /a failure says what became of the message/,
    where: PLAIN,
    path: "call 1",
  },
  {
    name: "a delivery without a 2yz",
    defect: errors(() => undefined),
    rule: /who counts as accepted has the message/,
    where: PLAIN,
    path: "call 1",
  },
  {
    name: "a refused recipient that is not named",
    defect: refusals(() => []),
    rule: /who counts as accepted has the message/,
    where: PLAIN,
    path: "call 1, connect, ok, ok, ok, ok, 5yz, ok, ok",
  },
  {
    name: "a recipient that is refused in the place of another",
    defect: refusals((refused) => refused.map(([address, reply]) => [swapped(address), reply])),
    rule: /who counts as refused has no message/,
    where: PLAIN,
    path: "call 1, connect, ok, ok, ok, ok, 5yz, ok, ok",
  },
  {
    name: "a timeout of another phase",
    defect: errors((error) => (error instanceof SMTPTimeoutError ? new SMTPTimeoutError("tls", "", error) : error)),
    rule: /a timeout names its phase/,
    where: PLAIN,
    path: "call 1, time",
  },
  {
    name: "a timeout that rejects nothing",
    defect: settlesUnless((error) => error instanceof SMTPTimeoutError),
    rule: /no call waits for ever/,
    where: PLAIN,
    path: "call 1",
  },
  {
    name: "an abort that rejects late",
    defect: {
      report: ({ outcome, settle, message }) =>
        void (message.aborted ? setTimeout(() => settle(outcome), 1000) : settle(outcome)),
    },
    rule: /an abort rejects at once/,
    where: PLAIN,
    path: "call 1, abort 1",
  },
  {
    name: "a message that is sent again after its delivery",
    defect: {
      report: ({ outcome, settle, again }) => (outcome.delivered ? again(settle) : settle(outcome)),
    },
    rule: /no message is accepted twice/,
    where: PLAIN,
    path: "call 2, connect, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok",
  },
  {
    name: "a timer that is left",
    defect: alsoDoes(() => void setTimeout(() => {}, 100_000)),
    rule: /no timer is left/,
    where: PLAIN,
    path: "quit, call 1, connect, ok, ok",
  },
  {
    name: "a listener that is left on a signal",
    defect: alsoDoes(({ signal }) => signal.addEventListener("abort", () => {})),
    rule: /no listener is left/,
    where: PLAIN,
    path: "call 1",
  },
  {
    name: "a rejection that nobody handles",
    defect: alsoDoes(() => void Promise.reject(new Error("planted"))),
    rule: /no rejection is unhandled/,
    where: PLAIN,
    path: "call 1",
  },
  {
    name: "a source that is not given back",
    defect: alsoDoes(({ source }) => void (source && Object.assign(source, { returned: 0 }))),
    rule: /a source is given back once/,
    where: DRIVEN,
    path: "call 1",
  },
  {
    name: "no RSET after a refused transaction",
    defect: answeredByItself("RSET\r\n", "250 ok\r\n"),
    rule: /RFC 5321 4\.1\.4: no MAIL while a transaction is open/,
    where: PLAIN,
    path: "call 2, call 1, connect, ok, ok, ok, 5yz",
  },
  {
    name: "no QUIT",
    defect: answeredByItself("QUIT\r\n", "221 bye\r\n"),
    rule: /RFC 5321 4\.1\.1\.10: QUIT before the end/,
    where: PLAIN,
    path: "quit, connect, ok",
  },
  {
    name: "a reply that is credited to two commands",
    defect: reads((text) => text.replace(/^250 MAIL.*\r\n/m, "$&$&")),
    rule: /a reply is credited to the command that it answers/,
    where: PIPELINING,
    path: "call 1, connect, ok, ok, all ok",
  },
  {
    name: "half a reply that counts as a whole one",
    defect: reads((text) => (text.endsWith("\r\n") ? text : `${text}\r\n`)),
    rule: /who counts as accepted has the message/,
    where: PLAIN,
    path: "call 2, connect, ok, ok, ok, ok, ok, half",
  },
  {
    name: "a 421 that does not end the session",
    defect: reads((text) => text.replace(/^421/m, "450")),
    rule: /RFC 5321 3\.8: nothing is sent once the session is over/,
    where: PLAIN,
    path: "call 1, connect, ok, 421",
  },
  {
    name: "the end of a connection that is not noticed",
    defect: {
      stream: (stream) =>
        changed(stream, { read: async () => (await stream.read()) ?? (await new Promise<never>(() => {})) }),
    },
    rule: /a connection that was lost is dropped at once/,
    where: PLAIN,
    path: "connect, hang up",
  },
  {
    name: "a connection that is not closed",
    defect: { stream: (stream) => changed(stream, { abort: () => {}, close: async () => {} }) },
    rule: /the server sees the end of the connection/,
    where: PLAIN,
    path: "connect",
  },
  {
    name: "the end of a message whose source failed",
    defect: endsContents("\r\n.\r\n", /354/),
    rule: /what its source has not ended is not delivered/,
    where: DRIVEN,
    path: "call 1, connect, ok, ok, ok, ok, ok, give 1, fail 1",
  },
  {
    name: "the last chunk of a message whose source failed",
    defect: endsContents("BDAT 0 LAST\r\n", /250 RCPT/),
    rule: /what its source has not ended is not delivered/,
    where: CHUNKED,
    path: "call 1, connect, ok, ok, ok, ok, give 1, ok, fail 1",
  },
  {
    name: "dots that are not doubled",
    defect: writes((text) => text.replace("\r\n..", "\r\n.")),
    rule: /RFC 5321 4\.5\.2/,
    where: PLAIN,
    path: "call 2, connect, ok, ok, ok, ok, ok",
  },
  {
    name: "a line of a message that is lost",
    defect: writes((text) => text.replace("last\r\n", "")),
    rule: /a message arrives whole, or not at all/,
    where: PLAIN,
    path: "call 2, connect, ok, ok, ok, ok, ok",
  },
  {
    name: "a command that does not wait for its turn",
    defect: writes((text) => text.replace(/^MAIL/, "NOOP\r\nMAIL")),
    rule: /RFC 5321 4\.3\.1: one command, one reply/,
    where: PLAIN,
    path: "call 1, connect, ok, ok",
  },
  {
    name: "a refusal of one message that ends the session",
    defect: reads((text) => text.replace(/^450/m, "421")),
    rule: /what happens to one message does not harm the other/,
    where: PLAIN,
    path: "call 1, call 2, connect, ok, ok, 4yz",
  },
];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function changed(stream: ByteStream, methods: Partial<ByteStream>): ByteStream {
  return {
    peer: stream.peer,
    read: () => stream.read(),
    write: (bytes) => stream.write(bytes),
    startTls: (options) => stream.startTls(options),
    close: () => stream.close(),
    abort: (reason) => stream.abort(reason),
    ...methods,
  };
}

/** Changes the bytes that the client writes, as text. */
function writes(change: (text: string) => string): Defect {
  const write = (stream: ByteStream) => (bytes: Uint8Array) =>
    stream.write(encoder.encode(change(decoder.decode(bytes))));
  return { stream: (stream) => changed(stream, { write: write(stream) }) };
}

/** Changes the bytes that the client reads, as text. */
function reads(change: (text: string) => string): Defect {
  const read = (stream: ByteStream) => async () => {
    const bytes = await stream.read();
    return bytes === null ? null : encoder.encode(change(decoder.decode(bytes)));
  };
  return { stream: (stream) => changed(stream, { read: read(stream) }) };
}

/** Withholds a command from the server, and answers it. */
function answeredByItself(command: string, answer: string): Defect {
  return {
    stream: (stream) => {
      let owed = false;
      let wake: () => void = () => {};
      let reading: Promise<Uint8Array | null> | undefined;
      return changed(stream, {
        write: (bytes) => {
          if (!decoder.decode(bytes).startsWith(command)) return stream.write(bytes);
          owed = true;
          wake();
          return stream.write(bytes.slice(command.length));
        },
        read: async () => {
          reading ??= stream.read();
          const bytes = reading;
          const woken = new Promise<void>((resolve) => {
            wake = resolve;
          });
          if (!owed) await Promise.race([woken, bytes]);
          if (owed) {
            owed = false;
            return encoder.encode(answer);
          }
          reading = undefined;
          return bytes;
        },
      });
    },
  };
}

/**
 * Writes an end before the connection is dropped in the middle of a content; such a content begins after this reply.
 */
function endsContents(end: string, begins: RegExp): Defect {
  return {
    stream: (stream) => {
      let begun = false;
      return changed(stream, {
        read: async () => {
          const bytes = await stream.read();
          begun ||= bytes !== null && begins.test(decoder.decode(bytes));
          return bytes;
        },
        abort: (reason) => {
          if (begun) void stream.write(encoder.encode(end))?.catch(() => {});
          stream.abort(reason);
        },
      });
    },
  };
}

/** Performs another action when a call settles. */
function alsoDoes(more: (message: MessageCall) => void): Defect {
  return {
    report: ({ outcome, settle, message }) => {
      settle(outcome);
      more(message);
    },
  };
}

/** Changes the error of a failed call; undefined: it succeeds. */
function errors(change: (error: SMTPException) => unknown): Defect {
  return {
    report: ({ outcome, settle }) => {
      if (outcome.delivered || !(outcome.error instanceof SMTPException)) return settle(outcome);
      const error = change(outcome.error);
      settle(error === undefined ? { delivered: true, refused: {}, delivery: undefined } : { delivered: false, error });
    },
  };
}

function claims(from: SMTPException["delivery"], to: SMTPException["delivery"]): Defect {
  return errors((error) => Object.assign(error, { delivery: error.delivery === from ? to : error.delivery }));
}

/** Does not settle a call that failed with this error. */
function settlesUnless(is: (error: unknown) => boolean): Defect {
  return {
    report: ({ outcome, settle }) => {
      if (outcome.delivered || !is(outcome.error)) settle(outcome);
    },
  };
}

type Refusal = readonly [address: string, reply: Extract<Outcome, { delivered: true }>["refused"][string]];

/** Changes the refused recipients if others were accepted. */
function refusals(change: (refused: readonly Refusal[]) => readonly Refusal[]): Defect {
  return {
    report: ({ outcome, settle }) => {
      if (!outcome.delivered) return settle(outcome);
      const refused = Object.fromEntries(change(Object.entries(outcome.refused)));
      settle({ delivered: true, refused, delivery: undefined });
    },
  };
}

function swapped(address: string): string {
  return address.startsWith("x") ? `y${address.slice(1)}` : `x${address.slice(1)}`;
}
