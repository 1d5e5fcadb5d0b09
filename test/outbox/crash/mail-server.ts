/**
 * The mail server of the crash test, in a process of its own that may be killed at any time. What it takes is in a file
 * before the reply to it leaves, with the time; by chance it puts off recipients and messages, and drops connections.
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
  /** True for a server that takes everything at once. */
  readonly calm?: boolean;
};

const { port, log, seed, calm = false }: Settings = JSON.parse(process.argv[2] ?? "{}");
const random = new Random(seed);

const server = startServer({
  keep: 10,
  starttls: "absent",
  answers: {
    rcpt: () => (!calm && random.chance(0.01) ? "450 4.2.0 greylisted" : undefined),
    message: ({ message }): Reaction | undefined => {
      if (calm) return undefined;
      const delay = random.between(0, 0.02);
      if (random.chance(0.005)) return { reply: "451 4.3.0 later", delay };
      if (random.chance(0.002)) return { reply: "554 5.7.1 no", delay };
      appendFileSync(log, `${/^X-Number: (\d+)/m.exec(message?.text ?? "")?.[1]} ${Date.now()}\n`);
      if (random.chance(0.003)) return { end: "reset" };
      return { delay, reply: "250 2.0.0 taken" };
    },
  },
});

const listener = createServer((socket) => {
  const stream = new SocketStream(socket, undefined);
  server.accept(stream).then(
    () => stream.close(),
    () => socket.destroy(),
  );
});
listener.listen(port, "127.0.0.1", () => console.log("ready"));
