/**
 * Loaded before each test file: puts the judge between the client and its byte streams, in this one place. Also makes
 * the comparison of bytes fast.
 */
import { expect, vi } from "vitest";
import type { AuthContext } from "../../src/client/authenticate-with.ts";
import type { CallQueue } from "../../src/client/call-queue.ts";
import type { Connection } from "../../src/client/connection.ts";
import type { Session } from "../../src/client/session.ts";
import type { PlannedMessage } from "../../src/client/transaction.ts";
import type { Reply } from "../../src/core/reply.ts";
import { judgeEachTest } from "./under-test.ts";
import { creditReply, reportOfDelivery, reportOfError, tellJudge, WatchedMessage, watchStream } from "./watch.ts";

vi.mock("../../src/client/connection.ts", async (original) => {
  const module = await original<typeof import("../../src/client/connection.ts")>();
  return {
    ...module,
    Connection: class extends module.Connection {
      constructor(...[stream, settings]: ConstructorParameters<typeof module.Connection>) {
        const pipelining: unknown = Reflect.get(settings, "pipelining");
        const { protocol } = settings;
        watchStream(stream, { protocol, clearTextAllowed: stream.peer.loopback, eager: pipelining === "eager" });
        super(stream, settings);
      }
    },
  };
});

vi.mock("../../src/client/delivery.ts", async (original) => {
  const module = await original<typeof import("../../src/client/delivery.ts")>();
  abstract class JudgedDelivery extends module.MessageDelivery {
    #message = new WatchedMessage();

    constructor(...given: ConstructorParameters<typeof module.MessageDelivery>) {
      super(...given);
      const { delivered, failed } = this;
      this.delivered = (outcome) => {
        this.#message.reported(reportOfDelivery(outcome));
        delivered.call(this, outcome);
      };
      this.failed = (error) => {
        this.#message.reported(reportOfError(error));
        failed.call(this, error);
      };
    }

    override attach(...given: [Session, CallQueue]): void {
      this.#message = new WatchedMessage();
      super.attach(...given);
    }

    protected override send(...given: [Session, Connection, PlannedMessage]): void {
      this.#message.planned(given[1].stream);
      super.send(...given);
    }
  }
  return { ...module, MessageDelivery: JudgedDelivery };
});

/** Commands that a caller may send at any time, and that the judge still understands. */
const HARMLESS = /^(NOOP|RSET|VRFY|EXPN|HELP|QUIT)$/i;

vi.mock("../../src/facade/commands.ts", async (original) => {
  const module = await original<typeof import("../../src/facade/commands.ts")>();
  return {
    ...module,
    Commands: class extends module.Commands {
      constructor(session: ConstructorParameters<typeof module.Commands>[0]) {
        super(session);
        const manual = (): void => tellJudge(session.connection?.stream, "manual");
        for (const name of ["mail", "rcpt", "data", "putcmd", "send", "getreply"] as const) {
          const method = this[name];
          Reflect.set(this, name, (...args: unknown[]) => {
            manual();
            return Reflect.apply(method, this, args);
          });
        }
        const { docmd, hello } = this;
        const credited = async (verb: string, answer: Promise<Reply>): Promise<Reply> => {
          const before = session.connection?.stream;
          const reply = await answer;
          creditReply(session.connection?.stream ?? before, verb, reply[0]);
          return reply;
        };
        this.docmd = (verb, command) => {
          if (!HARMLESS.test(verb)) manual();
          return credited(verb, docmd.call(this, verb, command));
        };
        this.hello = (verb, name) => credited(verb, hello.call(this, verb, name));
      }
    },
  };
});

vi.mock("../../src/client/authenticate-with.ts", async (original) => {
  const module = await original<typeof import("../../src/client/authenticate-with.ts")>();
  const told = ({ session, allowInsecureAuth }: AuthContext, chosen: boolean): void => {
    const stream = session.connection?.stream;
    if (allowInsecureAuth) tellJudge(stream, "clear-text-allowed");
    if (chosen) tellJudge(stream, "chosen-auth");
  };
  return {
    ...module,
    async authenticateWith(...[context, ...rest]: Parameters<typeof module.authenticateWith>) {
      told(context, false);
      return module.authenticateWith(context, ...rest);
    },
    runMechanism(...[context, ...rest]: Parameters<typeof module.runMechanism>) {
      told(context, true);
      return module.runMechanism(context, ...rest);
    },
    runExchange(...[context, ...rest]: Parameters<typeof module.runExchange>) {
      told(context, true);
      return module.runExchange(context, ...rest);
    },
  };
});

/** Vitest compares bytes one by one, which takes a second for some hundred thousand. */
expect.addEqualityTesters([
  (one: unknown, other: unknown): true | undefined => {
    if (!(one instanceof Uint8Array && other instanceof Uint8Array) || one.constructor !== other.constructor) return;
    return one.length === other.length && Buffer.compare(one, other) === 0 ? true : undefined;
  },
]);

judgeEachTest();
