/** Loaded before each test file: the one place where the judge is put between the client and its byte streams. */
import { vi } from "vitest";
import type { AuthContext } from "../../src/client/authenticate-with.ts";
import type { Reply } from "../../src/core/reply.ts";
import { judgeEachTest } from "./under-test.ts";
import { creditReply, reportOfDelivery, reportOfError, tellJudge, WatchedMessage, watchStream } from "./watch.ts";

vi.mock("../../src/client/connection.ts", async (original) => {
  const module = await original<typeof import("../../src/client/connection.ts")>();
  return {
    ...module,
    makeConnection(...[stream, settings]: Parameters<typeof module.makeConnection>) {
      const pipelining: unknown = Reflect.get(settings, "pipelining");
      const { protocol } = settings;
      watchStream(stream, { protocol, clearTextAllowed: stream.peer.loopback, eager: pipelining === "eager" });
      return module.makeConnection(stream, settings);
    },
  };
});

vi.mock("../../src/client/delivery-call.ts", async (original) => {
  const module = await original<typeof import("../../src/client/delivery-call.ts")>();
  return {
    ...module,
    deliverInTurn(...[conversation, turns, order]: Parameters<typeof module.deliverInTurn>) {
      const message = new WatchedMessage();
      module.deliverInTurn(conversation, turns, {
        request: order.request,
        signal: order.signal,
        plan(request, server) {
          const planned = order.plan(request, server);
          message.planned(conversation.connection?.stream);
          return planned;
        },
        resolve(delivery) {
          message.reported(reportOfDelivery(delivery));
          order.resolve(delivery);
        },
        reject(error) {
          message.reported(reportOfError(error));
          order.reject(error);
        },
      });
    },
  };
});

/** Commands that a caller may send at any time without making the dialogue its own. */
const HARMLESS = /^(NOOP|RSET|VRFY|EXPN|HELP|QUIT)$/i;

vi.mock("../../src/facade/commands.ts", async (original) => {
  const { Commands } = await original<typeof import("../../src/facade/commands.ts")>();
  return {
    Commands: class extends Commands {
      constructor(conversation: ConstructorParameters<typeof Commands>[0]) {
        super(conversation);
        const manual = (): void => tellJudge(conversation.connection?.stream, "manual");
        for (const name of ["mail", "rcpt", "data", "putcmd", "send", "getreply"] as const) {
          const method = this[name];
          Reflect.set(this, name, (...args: unknown[]) => {
            manual();
            return Reflect.apply(method, this, args);
          });
        }
        const { docmd, hello } = this;
        const credited = async (verb: string, answer: Promise<Reply>): Promise<Reply> => {
          const before = conversation.connection?.stream;
          const reply = await answer;
          creditReply(conversation.connection?.stream ?? before, verb, reply[0]);
          return reply;
        };
        this.docmd = (verb, args) => {
          if (typeof verb !== "string" || !HARMLESS.test(verb)) manual();
          return credited(verb, docmd.call(this, verb, args));
        };
        this.hello = (verb, name) => credited(verb, hello.call(this, verb, name));
      }
    },
  };
});

vi.mock("../../src/client/authenticate-with.ts", async (original) => {
  const module = await original<typeof import("../../src/client/authenticate-with.ts")>();
  const told = ({ conversation, allowInsecureAuth }: AuthContext, chosen: boolean): void => {
    const stream = conversation.connection?.stream;
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

judgeEachTest();
