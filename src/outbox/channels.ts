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

/** Makes a call, and returns its result. */
export type Around = <T>(call: () => T) => T;

/** Channel of `node:diagnostics_channel` -> what is published there. */
export type OutboxChannels = {
  /** A message was queued. */
  "smtplib:outbox:enqueue": { readonly message: OutboxInfo };
  /** A worker begins with it; `message` is the same object as at the end. */
  "smtplib:outbox:start": {
    readonly message: OutboxInfo;
    /** Call it at once to have the attempt made in a context of the subscriber's, such as that of a span. */
    readonly runIn: (around: Around) => void;
  };
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

type Named = { readonly [N in keyof OutboxChannels]: Channel<OutboxChannels[N]> | undefined };

/** The channels, once asked for: Bun up to 1.4 forgets the subscribers of a channel that nobody holds. */
let named: Named | undefined;

function channelNamed<N extends keyof OutboxChannels>(name: N): Named[N] {
  named ??= {
    "smtplib:outbox:enqueue": channelOf("smtplib:outbox:enqueue"),
    "smtplib:outbox:start": channelOf("smtplib:outbox:start"),
    "smtplib:outbox:end": channelOf("smtplib:outbox:end"),
  };
  return named[name];
}

/** Publishes, where anybody listens. */
export function publish<N extends keyof OutboxChannels>(name: N, make: () => OutboxChannels[N]): void {
  const channel = channelNamed(name);
  if (channel?.hasSubscribers) channel.publish(make());
}

/** Publishes the start of an attempt, and makes it in the contexts that subscribers asked for. */
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

/** Subscribes to a channel, until the returned function is called. */
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
