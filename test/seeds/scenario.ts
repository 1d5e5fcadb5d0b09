/** A scenario as data: what the pool is told, what the server and the network do, and what the caller does, and when. */
import type { ClockFaults } from "./virtual-time.ts";

/** Milliseconds since the scenario began. */
export type Moment = number;

/** The pool's options, as far as scenarios vary them; seconds where `SMTPPool` has seconds. */
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
 * How the pool logs in. "wrong": a password that the server never accepts. "token" asks a function each time; "stale
 * token": the first token that it gives is refused; "failing token": the function rejects until the server works.
 */
export type Login = "none" | "password" | "wrong" | "token" | "stale token" | "failing token";

/** What the server is like at all times. */
export type ServerPlan = {
  readonly pipelining: boolean;
  readonly chunking: boolean;
  readonly mechanisms: readonly string[];
  /** Limits that EHLO shows (RFC 9422). */
  readonly mailMax?: number | undefined;
  readonly rcptMax?: number | undefined;
  /** It answers 421 beyond so many connections at a time, and so many messages by one connection. */
  readonly maxConnections: number;
  readonly maxMessages: number;
  /** It says 421 and closes after so many milliseconds without a byte. */
  readonly idleTimeout: number;
  /** A byte needs so many milliseconds each way: between the least and the most. */
  readonly latency: readonly [least: number, most: number];
  /** The most bytes that one read gives, and bytes under way before a writer has to wait. */
  readonly chunkSize: number;
  readonly highWaterMark: number;
};

/** What becomes of a try to connect. "accepted": the server greets. */
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

/** From a moment on, connections fare so with this probability. */
export type Front = { readonly at: Moment; readonly weather: Weather; readonly probability: number };

/** The points at which the server may misbehave; "content": while a message comes in, "end": in place of its verdict. */
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

/** What the server does in the place of a reply. */
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

/** Misbehaviour with this probability at these points. */
export type Faults = {
  readonly probability: number;
  readonly kinds: readonly FaultKind[];
  readonly stages: readonly Stage[];
};

/** A body: how it is given, its size, and how its source behaves. */
export type BodyPlan = {
  readonly kind: "text" | "bytes" | "iterable" | "async" | "stream" | "message" | "prepared";
  readonly lines: number;
  /** The source pauses so many milliseconds before each chunk. */
  readonly pause: number;
  /** The source fails, or never gives more, after so many chunks. */
  readonly fails?: number | undefined;
  readonly hangs?: number | undefined;
};

/** What the caller does at a moment, so many turns of the microtask queue after what else happens then. */
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
      /** The caller sends the message again where it is unknown whether it was delivered. */
      readonly insists: boolean;
    }
  | { readonly does: "abort"; readonly id: number }
  | { readonly does: "check"; readonly id: number; readonly signal: boolean }
  | { readonly does: "drain" }
  | { readonly does: "close" }
  | { readonly does: "abort all" }
);

/** A moment at which the event loop is busy: nothing happens for so many milliseconds. */
export type Block = { readonly at: Moment; readonly ms: number };

/** All that a run depends on. */
export type Scenario = {
  readonly seed: number;
  readonly pool: PoolPlan;
  readonly server: ServerPlan;
  readonly fronts: readonly Front[];
  readonly faults: readonly Faults[];
  readonly clock: ClockFaults;
  readonly blocks: readonly Block[];
  readonly actions: readonly Action[];
  /** From here on the server and the network do what they should. */
  readonly goodAt: Moment;
  /** How many messages are sent at once in the end, which nothing may keep from success. */
  readonly probes: number;
};
