/** The diagnostics channels of an outbox and their messages. Runtimes without diagnostics channels have none. */
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
  /** The number of the current or next attempt, from 1. */
  readonly attempt: number;
  /** Milliseconds since 1970. */
  readonly queuedAt: number;
};

/** Makes a call and returns its result. */
export type Around = <T>(call: () => T) => T;

/** The messages of each channel of `node:diagnostics_channel`. */
export type OutboxChannels = {
  /** A message was queued. */
  "smtplib:outbox:enqueue": { readonly message: OutboxInfo };
  /** A worker begins an attempt; `message` is the same object as at the end. */
  "smtplib:outbox:start": {
    readonly message: OutboxInfo;
    /** Runs the attempt in a context of the subscriber, such as that of a span; call it synchronously. */
    readonly runIn: (around: Around) => void;
  };
  /** The attempt has ended. "defer": no attempt was made; `resolved`: the outcome of a held message is known. */
  "smtplib:outbox:end": {
    readonly message: OutboxInfo;
    readonly action: "done" | "retry" | "give-up" | "hold" | "defer";
    /** Seconds until the next attempt. */
    readonly after: number;
    readonly resolved: boolean;
    readonly error: unknown;
  };
};

type Named = { readonly [N in keyof OutboxChannels]: Channel<OutboxChannels[N]> | undefined };

/** The channels, from their first use on: Bun up to 1.4 forgets the subscribers of a channel without references. */
let named: Named | undefined;

function channelNamed<N extends keyof OutboxChannels>(name: N): Named[N] {
  named ??= {
    "smtplib:outbox:enqueue": channelOf("smtplib:outbox:enqueue"),
    "smtplib:outbox:start": channelOf("smtplib:outbox:start"),
    "smtplib:outbox:end": channelOf("smtplib:outbox:end"),
  };
  return named[name];
}

/** Publishes a message if the channel has subscribers. */
export function publish<N extends keyof OutboxChannels>(name: N, make: () => OutboxChannels[N]): void {
  const channel = channelNamed(name);
  if (channel?.hasSubscribers) channel.publish(make());
}

/** Publishes the start of an attempt, and runs it in the contexts that subscribers requested by `runIn`. */
export function runPublished<T>(message: OutboxInfo, attempt: () => T): T {
  let run = attempt;
  publish("smtplib:outbox:start", () => ({
    message,
    runIn: (around) => {
      const inner = run;
      run = () => around(inner);
    },
  }));
  return run();
}

/** Subscribes to a channel; the returned function unsubscribes. */
export function subscribe<N extends keyof OutboxChannels>(
  name: N,
  listener: (message: OutboxChannels[N]) => void,
): () => void {
  const channel = channelNamed(name);
  channel?.subscribe(listener);
  return () => void channel?.unsubscribe(listener);
}

/** The description of a message for listeners. */
export function infoOf(message: OutboxMessage): OutboxInfo {
  const { id, messageId, destination, tenant, octets, queuedAt, to, state } = message;
  const recipients = state.left?.length ?? to.length;
  return { id, messageId, destination, tenant, octets, recipients, attempt: state.attempts + 1, queuedAt };
}
