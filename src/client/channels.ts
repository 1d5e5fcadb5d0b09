/**
 * The runtime's diagnostics channels (Node, Deno and Bun have them). Their names and messages are part of the public
 * API.
 */
import type { Endpoint, PeerInfo } from "../byte-stream.ts";
import type { Reply } from "../core/reply.ts";
import { builtinModule } from "./builtin-module.ts";
import type { Delivery } from "./outcome.ts";

/** A connection, the same object in each of its events. */
export type ConnectionInfo = {
  readonly protocol: "smtp" | "lmtp";
  readonly endpoint: Endpoint;
  /** Both ends, and TLS; undefined until connected. */
  readonly peer: PeerInfo | undefined;
};

/** A message being delivered, the same object in each of its events. */
export type DeliveryInfo = {
  readonly protocol: "smtp" | "lmtp";
  /** The server; undefined until a connection is made. */
  readonly endpoint: Endpoint | undefined;
  /** The reverse path; undefined until the message is read. */
  readonly from: string | undefined;
  /** The recipients; undefined until the message is read. */
  readonly to: readonly string[] | undefined;
  /** Size on the wire in bytes, without dot-stuffing; undefined for streams, and until the message is read. */
  readonly octets: number | undefined;
};

/** Channels of `node:diagnostics_channel` and their payloads. Credentials are masked in all of them. */
export type DiagnosticsChannels = {
  /** A connection attempt starts; published in the context of the call that needs it. */
  "smtplib:connection:start": { readonly connection: ConnectionInfo };
  /** The connection is made, and the server has sent its greeting. */
  "smtplib:connection:open": { readonly connection: ConnectionInfo; readonly greeting: Reply };
  /** The connection attempt failed. */
  "smtplib:connection:error": { readonly connection: ConnectionInfo; readonly error: unknown };
  /** An open connection ended; `error` is the reason, undefined if the caller closed it. */
  "smtplib:connection:end": { readonly connection: ConnectionInfo; readonly error: unknown };
  /** A command is sent, or a response to a challenge, whose verb is ""; published in the context of its call. */
  "smtplib:command": { readonly connection: ConnectionInfo; readonly verb: string; readonly command: string };
  /** A reply arrived, in the same context; `command` is the answered one, "." for content, "connect" for a greeting. */
  "smtplib:reply": {
    readonly connection: ConnectionInfo;
    readonly command: string;
    readonly code: number;
    readonly message: string;
    readonly enhancedCode: string | undefined;
  };
  /**
   * A message was passed to the client; published in the context of that call, before the message waits for its turn.
   */
  "smtplib:delivery:start": { readonly delivery: DeliveryInfo };
  /** The server accepted the message for at least one recipient. */
  "smtplib:delivery:end": { readonly delivery: DeliveryInfo; readonly result: Delivery };
  /** The delivery failed; `error` is the caller's error. */
  "smtplib:delivery:error": { readonly delivery: DeliveryInfo; readonly error: unknown };
};

/** A channel, as in `node:diagnostics_channel`. */
export type Channel<Message> = {
  readonly hasSubscribers: boolean;
  publish(message: Message): void;
  subscribe(listener: (message: Message) => void): void;
  unsubscribe(listener: (message: Message) => void): boolean;
};

type Name = keyof DiagnosticsChannels;

type Named = { readonly [name in Name]: Channel<DiagnosticsChannels[name]> };

/** The library's channels. */
export class Channels {
  readonly #named: Named;
  readonly #command: { readonly hasSubscribers: boolean };
  readonly #reply: { readonly hasSubscribers: boolean };

  constructor(channel: <N extends Name>(name: N) => Named[N]) {
    this.#named = {
      "smtplib:connection:start": channel("smtplib:connection:start"),
      "smtplib:connection:open": channel("smtplib:connection:open"),
      "smtplib:connection:error": channel("smtplib:connection:error"),
      "smtplib:connection:end": channel("smtplib:connection:end"),
      "smtplib:command": channel("smtplib:command"),
      "smtplib:reply": channel("smtplib:reply"),
      "smtplib:delivery:start": channel("smtplib:delivery:start"),
      "smtplib:delivery:end": channel("smtplib:delivery:end"),
      "smtplib:delivery:error": channel("smtplib:delivery:error"),
    };
    this.#command = this.#named["smtplib:command"];
    this.#reply = this.#named["smtplib:reply"];
  }

  /** Whether any channel has a subscriber. Called for each event, so without a loop, which takes five times as long. */
  get heard(): boolean {
    const named = this.#named;
    return (
      named["smtplib:connection:start"].hasSubscribers ||
      named["smtplib:connection:open"].hasSubscribers ||
      named["smtplib:connection:error"].hasSubscribers ||
      named["smtplib:connection:end"].hasSubscribers ||
      named["smtplib:command"].hasSubscribers ||
      named["smtplib:reply"].hasSubscribers ||
      named["smtplib:delivery:start"].hasSubscribers ||
      named["smtplib:delivery:end"].hasSubscribers ||
      named["smtplib:delivery:error"].hasSubscribers
    );
  }

  /** Whether commands or replies have a subscriber. */
  get hearsDialogue(): boolean {
    return this.#command.hasSubscribers || this.#reply.hasSubscribers;
  }

  /** Publishes to the subscribers of a channel. */
  publish<N extends Name>(name: N, message: DiagnosticsChannels[N]): void {
    const channel = this.#named[name];
    if (channel.hasSubscribers) channel.publish(message);
  }

  /** Subscribes to a channel until the returned function is called. */
  subscribe<N extends Name>(name: N, listener: (message: DiagnosticsChannels[N]) => void): () => void {
    const channel = this.#named[name];
    channel.subscribe(listener);
    return () => void channel.unsubscribe(listener);
  }
}

/**
 * A channel of the runtime, or undefined if it has none, or another module of that name; mail is sent in any case. The
 * caller must keep the channel: Bun up to 1.4 loses the subscribers of an unreferenced one.
 */
export function channelOf<Message>(name: string): Channel<Message> | undefined {
  try {
    return builtinModule<{ channel<M>(name: string): Channel<M> }>("diagnostics_channel")?.channel<Message>(name);
  } catch {
    return undefined;
  }
}

let found: { readonly channels: Channels | undefined } | undefined;

/**
 * The runtime's channels, or undefined if it has none. The module keeps them: Bun up to 1.4 loses the subscribers of an
 * unreferenced channel.
 */
export function diagnostics(): Channels | undefined {
  found ??= { channels: find() };
  return found.channels;
}

function find(): Channels | undefined {
  try {
    const module = builtinModule<{ channel<N extends Name>(name: N): Named[N] }>("diagnostics_channel");
    return module === undefined ? undefined : new Channels(module.channel);
  } catch {
    // Another module has this name: there are no subscribers, and mail is sent in any case.
    return undefined;
  }
}
