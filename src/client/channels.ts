/**
 * The runtime's diagnostics channels, where it has them: Node, Deno and Bun do. Their names and what is published on them
 * are part of the public API.
 */
import type { Endpoint, PeerInfo } from "../byte-stream.ts";
import type { Reply } from "../core/reply.ts";
import type { Delivery } from "./outcome.ts";

/** A connection, the same object in each of its events. */
export type ConnectionInfo = {
  readonly protocol: "smtp" | "lmtp";
  readonly endpoint: Endpoint;
  /** Both ends, and TLS; undefined until it is connected. */
  readonly peer: PeerInfo | undefined;
};

/** A message on its way, the same object in each of its events. */
export type DeliveryInfo = {
  readonly protocol: "smtp" | "lmtp";
  /** Where it goes; undefined until a connection is made. */
  readonly endpoint: Endpoint | undefined;
  /** The reverse path; undefined until the message was read. */
  readonly from: string | undefined;
  /** The recipients; undefined until the message was read. */
  readonly to: readonly string[] | undefined;
  /** Its size on the wire, without stuffing; undefined for streams, and until the message was read. */
  readonly octets: number | undefined;
};

/** Channel of `node:diagnostics_channel` -> what is published there. Credentials are masked in all of them. */
export type DiagnosticsChannels = {
  /** A connection is being made; published in the context of who asked for it. */
  "smtplib:connection:start": { readonly connection: ConnectionInfo };
  /** It is made, and the server has greeted. */
  "smtplib:connection:open": { readonly connection: ConnectionInfo; readonly greeting: Reply };
  /** It could not be made. */
  "smtplib:connection:error": { readonly connection: ConnectionInfo; readonly error: unknown };
  /** An open connection is over; `error` says why, and is undefined if the caller closed it. */
  "smtplib:connection:end": { readonly connection: ConnectionInfo; readonly error: unknown };
  /** A command goes out, or a line that answers a challenge, whose verb is "". */
  "smtplib:command": { readonly connection: ConnectionInfo; readonly verb: string; readonly command: string };
  /** A reply came; `command` is what it answers, "." for a message's content, "connect" for a greeting. */
  "smtplib:reply": {
    readonly connection: ConnectionInfo;
    readonly command: string;
    readonly code: number;
    readonly message: string;
    readonly enhancedCode: string | undefined;
  };
  /** A message was handed over; published in the context of who did so, before it waits for its turn. */
  "smtplib:delivery:start": { readonly delivery: DeliveryInfo };
  /** The server took it, for at least one recipient. */
  "smtplib:delivery:end": { readonly delivery: DeliveryInfo; readonly result: Delivery };
  /** It did not; `error` is what the caller gets. */
  "smtplib:delivery:error": { readonly delivery: DeliveryInfo; readonly error: unknown };
};

/** A channel, as `node:diagnostics_channel` has it. */
export type Channel = { readonly hasSubscribers: boolean; publish(message: unknown): void };

/** As much of `node:diagnostics_channel` as is used here. */
export type DiagnosticsModule = {
  channel(name: string): Channel;
  subscribe(name: string, listener: (message: unknown) => void): void;
  unsubscribe(name: string, listener: (message: unknown) => void): boolean;
};

type Name = keyof DiagnosticsChannels;

const NAMES: { readonly [name in Name]: true } = {
  "smtplib:connection:start": true,
  "smtplib:connection:open": true,
  "smtplib:connection:error": true,
  "smtplib:connection:end": true,
  "smtplib:command": true,
  "smtplib:reply": true,
  "smtplib:delivery:start": true,
  "smtplib:delivery:end": true,
  "smtplib:delivery:error": true,
};

/** The channels. */
export class Channels {
  readonly #channels = new Map<Name, Channel>();
  readonly #all: readonly Channel[];

  constructor({ channel }: DiagnosticsModule) {
    for (const name of Object.keys(NAMES).filter(isName)) this.#channels.set(name, channel(name));
    this.#all = [...this.#channels.values()];
  }

  /** Whether anyone has subscribed to any of them. */
  get heard(): boolean {
    for (const channel of this.#all) if (channel.hasSubscribers) return true;
    return false;
  }

  /** Tells those who have subscribed to this one. */
  publish<N extends Name>(name: N, message: DiagnosticsChannels[N]): void {
    const channel = this.#channels.get(name);
    if (channel?.hasSubscribers) channel.publish(message);
  }
}

/** The runtime's module, or undefined where it has none. */
export function diagnostics(): DiagnosticsModule | undefined {
  const runtime: Runtime | undefined = Reflect.get(globalThis, "process");
  return runtime?.getBuiltinModule?.("diagnostics_channel");
}

type Runtime = { getBuiltinModule?(id: string): DiagnosticsModule | undefined };

function isName(name: string): name is Name {
  return Object.hasOwn(NAMES, name);
}
