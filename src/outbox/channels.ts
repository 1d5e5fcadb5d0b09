/** The diagnostics channels of an outbox, and what is published on them. They are found where the runtime has them. */
import { type Channel, channelOf } from "../client/channels.ts";
import type { OutboxMessage } from "./message.ts";

/** A message of an outbox, without its content and its credentials. */
export type OutboxInfo = {
  readonly id: string;
  readonly messageId: string;
  readonly destination: string;
  readonly tenant: string | undefined;
  readonly octets: number;
  readonly recipients: number;
  /** Which attempt comes next or is being made, from 1 on. */
  readonly attempt: number;
  /** Milliseconds since 1970. */
  readonly queuedAt: number;
};

/** Channel of `node:diagnostics_channel` -> what is published there. */
export type OutboxChannels = {
  /** A message was queued. */
  "smtplib:outbox:enqueue": { readonly message: OutboxInfo };
  /** A worker begins with it. */
  "smtplib:outbox:start": { readonly message: OutboxInfo };
  /** The attempt has ended. "defer": no attempt was made; `resolved`: a held message has its answer. */
  "smtplib:outbox:end": {
    readonly message: OutboxInfo;
    readonly action: "done" | "retry" | "give-up" | "hold" | "defer";
    /** Seconds until it is looked at again. */
    readonly after: number;
    readonly resolved: boolean;
    readonly error: unknown;
  };
};

/** The channels that were asked for. */
const found = new Map<string, Channel<unknown>>();

function keptChannel(name: string): Channel<unknown> | undefined {
  const channel = found.get(name) ?? channelOf<unknown>(name);
  if (channel !== undefined) found.set(name, channel);
  return channel;
}

/** Publishes, where anybody listens. */
export function publish<N extends keyof OutboxChannels>(name: N, make: () => OutboxChannels[N]): void {
  const channel = keptChannel(name);
  if (channel?.hasSubscribers) channel.publish(make());
}

/** Subscribes to the ends of attempts, until the returned function is called. */
export function onEnd(listener: (end: OutboxChannels["smtplib:outbox:end"]) => void): () => void {
  const channel = keptChannel("smtplib:outbox:end");
  const heard = (message: unknown): void => {
    if (isEnd(message)) listener(message);
  };
  channel?.subscribe(heard);
  return () => void channel?.unsubscribe(heard);
}

function isEnd(message: unknown): message is OutboxChannels["smtplib:outbox:end"] {
  return typeof message === "object" && message !== null && "message" in message && "action" in message;
}

/** The description of a message for listeners. */
export function infoOf(message: OutboxMessage): OutboxInfo {
  const { id, messageId, destination, tenant, octets, queuedAt, to, state } = message;
  const recipients = state.left?.length ?? to.length;
  return { id, messageId, destination, tenant, octets, recipients, attempt: state.attempts + 1, queuedAt };
}
