/** An outbox on pg-boss, with a real PostgreSQL. */
import { describeService } from "./describe-service.ts";
import { testOutbox } from "./outboxes.ts";
import { startPostgres } from "./services.ts";

describeService("postgresql", () => testOutbox("postgresql", startPostgres));
