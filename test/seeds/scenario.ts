/** A scenario as data: the pool's options, the behaviour of the server and the network, and the caller's actions. */
import type { ClockFaults } from "./virtual-time.ts";

/** Milliseconds since the beginning of the scenario. */
export type Moment = number;

/** The pool's options that scenarios vary, in seconds as in `SMTPPool`. */
export type PoolPlan = {
  readonly protocol: "smtp" | "lmtp";
  readonly maxConnections: number;
  readonly maxMessages?: number | undefined;
  readonly maxQueue?: number | undefined;
  readonly idleTimeout?: number | undefined;
  readonly maxLifetime?: number | undefined;
  readonly reconnectFor?: number | undefined;
  readonly rateLimit?: { readonly messages: number; readonly seconds: number } | undefined;
  readonly pipelining?: boolean | "eager" | undefined;
  readonly chunking?: boolean | undefined;
  readonly timeout?: number | undefined;
  readonly total?: number | undefined;
  readonly login: Login;
};

/**
 * How the pool logs in. "wrong": a password that the server never accepts. "token" calls a function each time; "stale
 * token": the server refuses the function's first token; "failing token": the function rejects until the server works.
 */
export type Login = "none" | "password" | "wrong" | "token" | "stale token" | "failing token";

/** The permanent properties of the server. */
export type ServerPlan = {
  readonly pipelining: boolean;
  readonly chunking: boolean;
  readonly mechanisms: readonly string[];
  /** Limits in the reply to EHLO (RFC 9422). */
  readonly mailMax?: number | undefined;
  readonly rcptMax?: number | undefined;
  /** It replies 421 to more simultaneous connections than this, and to more messages on one connection. */
  readonly maxConnections: number;
  readonly maxMessages: number;
  /** It replies 421 and closes after this many milliseconds without a byte. */
  readonly idleTimeout: number;
  /** The least and the most milliseconds that a byte needs in each direction. */
  readonly latency: readonly [least: number, most: number];
  /** The maximum number of bytes of one read, and the number of unread bytes at which a writer has to wait. */
  readonly chunkSize: number;
  readonly highWaterMark: number;
};

/** The outcome of an attempt to connect. "accepted": the server greets. */
export type Weather =
  | "accepted"
  | "refused"
  | "unknown host"
  | "temporarily unknown host"
  | "connect hangs"
  | "slow connect"
  | "greeting hangs"
  | "reset"
  | "421 greeting"
  | "451 greeting"
  | "554 greeting"
  | "421 EHLO"
  | "451 EHLO"
  | "closed at EHLO"
  | "454 AUTH"
  | "535 AUTH"
  | "closed at AUTH"
  | "dead at MAIL";

/** From this time on, connections have this outcome with this probability. */
export type Front = { readonly at: Moment; readonly weather: Weather; readonly probability: number };

/** The points at which the server may misbehave; "content": within a message, "end": in place of the reply to it. */
export type Stage =
  | "greeting"
  | "EHLO"
  | "AUTH"
  | "MAIL"
  | "RCPT"
  | "DATA"
  | "content"
  | "BDAT"
  | "end"
  | "RSET"
  | "NOOP"
  | "QUIT"
  | "idle";

/** The server's faults in place of a reply. */
export type FaultKind =
  | "4yz"
  | "5yz"
  | "throttle"
  | "421"
  | "drop before"
  | "drop after"
  | "stall"
  | "freeze"
  | "slow"
  | "garbage"
  | "cut"
  | "stray";

/** Faults with this probability at these points. */
export type Faults = {
  readonly probability: number;
  readonly kinds: readonly FaultKind[];
  readonly stages: readonly Stage[];
};

/** A body: its kind, its size, and the behaviour of its source. */
export type BodyPlan = {
  readonly kind: "text" | "bytes" | "iterable" | "async" | "stream" | "message" | "prepared";
  readonly lines: number;
  /** The source pauses this many milliseconds before each chunk. */
  readonly pause: number;
  /** The source fails, or hangs, after this many chunks. */
  readonly fails?: number | undefined;
  readonly hangs?: number | undefined;
};

/** An action of the caller at a time, delayed by this many turns of the microtask queue. */
export type Action = { readonly at: Moment; readonly turns: number } & (
  | {
      readonly does: "send";
      readonly id: number;
      readonly recipients: number;
      readonly body: BodyPlan;
      readonly method: "sendmail" | "deliver";
      /** The call has a signal. */
      readonly signal: boolean;
      /** `ready()` is awaited before the call. */
      readonly ready: boolean;
      /** The caller sends the message again if it is unknown whether it was delivered. */
      readonly insists: boolean;
    }
  | { readonly does: "abort"; readonly id: number }
  | { readonly does: "check"; readonly id: number; readonly signal: boolean }
  | { readonly does: "drain" }
  | { readonly does: "close" }
  | { readonly does: "abort all" }
);

/** A time at which the event loop is busy: nothing happens for this many milliseconds. */
export type Block = { readonly at: Moment; readonly ms: number };

/** Everything that determines a run. */
export type Scenario = {
  readonly seed: number;
  readonly pool: PoolPlan;
  readonly server: ServerPlan;
  readonly fronts: readonly Front[];
  readonly faults: readonly Faults[];
  readonly clock: ClockFaults;
  readonly blocks: readonly Block[];
  readonly actions: readonly Action[];
  /** From this time on, the server and the network work. */
  readonly goodAt: Moment;
  /** The number of messages that are sent at once at the end, which must succeed. */
  readonly probes: number;
};
