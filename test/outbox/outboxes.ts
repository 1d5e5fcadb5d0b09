/** All tests that are the same for BullMQ on Redis and for pg-boss on PostgreSQL. */
import { testAttempts } from "./attempts.ts";
import { testDeadLetters } from "./dead-letters.ts";
import { testEnds } from "./ends.ts";
import { outboxContext } from "./outbox-context.ts";
import { testQueueing } from "./queueing.ts";
import type { QueueName } from "./queues.ts";
import type { Service } from "./services.ts";

/** Declares the tests. Each queue has a file of its own: most of their time is waiting, which two processes do at once. */
export function testOutbox(name: QueueName, start: () => Promise<Service>): void {
  const context = outboxContext(name, start);
  testQueueing(context);
  testAttempts(context);
  testDeadLetters(context);
  testEnds(context);
}
