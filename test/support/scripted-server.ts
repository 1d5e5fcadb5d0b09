/** A mail server whose dialogue is data: for answers, faults and timing that no real server would produce. */
import { once } from "node:events";
import net from "node:net";
import type { Transport } from "../../src/byte-stream.ts";
import { type MemoryOptions, memoryTransport } from "../../transports/memory.ts";
import { type Act, Conversation } from "./scripted-dialogue.ts";
import { acceptTls, memoryWire, socketWire, type Wire } from "./scripted-wire.ts";

export * from "./scripted-dialogue.ts";

/** A running server. Each connection plays the same dialogue, or with `perConnection` its own. */
export type ScriptedServer = {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Set for servers in memory: the transport for the client. */
  readonly transport: Transport | undefined;
  /** The connections so far. */
  readonly conversations: Conversation[];
  /** The first connection's. Throws if there was none. */
  readonly first: Conversation;
  /**
   * Ends the server: waits until the clients have ended their connections, and throws for an unexpected line or a
   * connection that was left open.
   */
  finish(): Promise<void>;
};

/** The time in which a client has to disconnect after its test, in seconds. */
const PATIENCE = 3;

/** Starts a server on a free port of 127.0.0.1. Later connections than there are dialogues play the last one. */
export async function startScriptedServer(...dialogues: readonly Act[]): Promise<ScriptedServer> {
  const desk = new Desk(dialogues);
  const listener = net.createServer({ allowHalfOpen: true }, (socket) => desk.play(socketWire(socket)));
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("the server listens on no port");
  return desk.server(address.port, undefined, async () => {
    await new Promise<void>((resolve) => listener.close(() => resolve()));
  });
}

/** The same without sockets and without TLS. */
export function scriptedTransport(dialogues: readonly Act[], options?: MemoryOptions): ScriptedServer {
  const desk = new Desk(dialogues);
  const transport = memoryTransport((stream) => void desk.play(memoryWire(stream)), options);
  return desk.server(25, transport, async () => {});
}

/** The dialogues of the connections. */
class Desk {
  readonly conversations: Conversation[] = [];
  readonly #dialogues: readonly Act[];
  readonly #playing: Promise<void>[] = [];

  constructor(dialogues: readonly Act[]) {
    this.#dialogues = dialogues;
  }

  play(wire: Wire): void {
    const dialogue = this.#dialogues[Math.min(this.conversations.length, this.#dialogues.length - 1)] ?? [];
    const conversation = new Conversation(wire, acceptTls);
    this.conversations.push(conversation);
    this.#playing.push(conversation.play(dialogue));
  }

  server(port: number, transport: Transport | undefined, stop: () => Promise<void>): ScriptedServer {
    const { conversations } = this;
    return {
      host: "127.0.0.1",
      port,
      transport,
      conversations,
      get first(): Conversation {
        const [first] = conversations;
        if (first === undefined) throw new Error("nobody has connected");
        return first;
      },
      finish: () => this.#finish(stop),
    };
  }

  async #finish(stop: () => Promise<void>): Promise<void> {
    for (const conversation of this.conversations) conversation.clientIsDone();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      for (const conversation of this.conversations) conversation.abandon();
    }, PATIENCE * 1000);
    await Promise.all(this.#playing);
    clearTimeout(timer);
    await stop();
    const problems = this.conversations.flatMap(({ problems }) => problems);
    if (late) problems.push("the client left a connection open");
    if (problems.length > 0) throw new Error(problems.join("\n"));
  }
}
