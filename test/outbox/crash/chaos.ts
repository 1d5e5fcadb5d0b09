/** The faults of the crash test's processes, determined by its seed. */
import type { Random } from "../../seeds/random.ts";
import type { Program } from "./processes.ts";

/** The processes that faults may affect. */
export type Targets = {
  readonly workers: readonly Program[];
  readonly mailServer: Program;
  /** Kills Redis or PostgreSQL, and starts it again. */
  readonly restartQueue: () => Promise<void>;
  /** Seconds after which a silent worker counts as dead. */
  readonly lock: number;
};

/** The number of faults of each kind. */
export type Faults = { killed: number; frozen: number; queue: number; mail: number };

const pause = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Makes one fault after another until `isOver`; all faults are repaired when it resolves. */
export async function makeFaults(targets: Targets, random: Random, isOver: () => boolean): Promise<Faults> {
  const faults: Faults = { killed: 0, frozen: 0, queue: 0, mail: 0 };
  const open: Promise<unknown>[] = [];
  /** Workers that are frozen, or have not started to work yet. */
  const idle = new Set<Program>();
  while (!isOver()) {
    await pause(random.between(0.2, 1.2));
    const worker = targets.workers[random.int(targets.workers.length)];
    const kind = random.float();
    if (worker === undefined || idle.has(worker)) continue;
    if (kind < 0.5) {
      faults.killed++;
      await worker.kill();
      idle.add(worker);
      open.push(worker.start().then(() => idle.delete(worker)));
    } else if (kind < 0.75) {
      faults.frozen++;
      idle.add(worker);
      worker.freeze();
      open.push(
        pause(random.between(0.5, 2) * targets.lock).then(() => {
          worker.wake();
          idle.delete(worker);
        }),
      );
    } else if (kind < 0.9) {
      faults.mail++;
      await targets.mailServer.kill();
      await pause(random.between(0, 0.5));
      open.push(targets.mailServer.start());
      await open.at(-1);
    } else {
      faults.queue++;
      await targets.restartQueue();
    }
  }
  await Promise.all(open);
  return faults;
}
