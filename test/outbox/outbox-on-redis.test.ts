/** An outbox on BullMQ, with a real Redis. */
import { describeService } from "./describe-service.ts";
import { testOutbox } from "./outboxes.ts";
import { startRedis } from "./services.ts";

describeService("redis", () => testOutbox("redis", startRedis));
