/**
 * The mail server of the crash test, in a separate process that may be killed at any time. It writes accepted and
 * refused recipients to a file, with the time, before it sends the reply; at random it defers recipients and messages,
 * and drops connections.
 */

import { appendFileSync } from "node:fs";
import { createServer } from "node:net";
import { SocketStream } from "../../../src/cli/serve/socket-stream.ts";
import { type Reaction, startServer } from "../../../src/testing/index.ts";
import { Random } from "../../seeds/random.ts";

type Settings = {
  readonly port: number;
  readonly log: string;
  readonly seed: number;
  /** True for a server that accepts everything at once. */
  readonly calm?: boolean;
};

const { port, log, seed, calm = false }: Settings = JSON.parse(process.argv[2] ?? "{}");
const random = new Random(seed);

const server = startServer({
  keep: 10,
  starttls: "absent",
  answers: {
    rcpt: ({ address = "" }) => {
      if (calm) return undefined;
      if (random.chance(0.01)) return "450 4.2.0 greylisted";
      if (random.chance(0.001)) return "421 4.3.2 busy";
      if (!random.chance(0.002)) return undefined;
      write("refused", [address]);
      return "550 5.1.1 no such user";
    },
    message: ({ message }): Reaction | undefined => {
      if (calm) return undefined;
      const delay = random.between(0, 0.02);
      if (random.chance(0.005)) return { reply: "451 4.3.0 later", delay };
      const isRefused = random.chance(0.002);
      write(isRefused ? "refused" : "taken", message?.to ?? []);
      if (isRefused) return { reply: "554 5.7.1 no", delay };
      if (random.chance(0.003)) return { end: "reset" };
      return { delay, reply: "250 2.0.0 taken" };
    },
  },
});

/** Records the outcome of recipients, whose addresses are numbers. */
function write(what: "taken" | "refused", addresses: readonly string[]): void {
  for (const address of addresses) appendFileSync(log, `${what} ${Number.parseInt(address, 10)} ${Date.now()}\n`);
}

const listener = createServer((socket) => {
  const stream = new SocketStream(socket, undefined);
  server.accept(stream).then(
    () => stream.close(),
    () => socket.destroy(),
  );
});
listener.listen(port, "127.0.0.1", () => console.log("ready"));
