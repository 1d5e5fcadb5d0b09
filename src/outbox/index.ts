/**
 * Durable delivery of mail on queues: no message is lost, and none is sent twice as far as that can be known. Adapters for BullMQ
 * and pg-boss, and the parts that they are made of.
 *
 * @module
 */
export type { Ask, Finding, Question } from "./attempt.ts";
export { type BodyStore, BodyUnavailableError, fileBodies, type StoredBody } from "./body-store.ts";
export {
  type BullmqOutbox,
  type BullmqOutboxOptions,
  type BullmqWorkOptions,
  type BullQueue,
  bullmqOutbox,
} from "./bullmq.ts";
export type { BullJob } from "./bullmq-worker.ts";
export { CallbackTimeoutError } from "./callbacks.ts";
export type { OutboxChannels, OutboxInfo } from "./channels.ts";
export type { DeadLetter } from "./dead-letters.ts";
export { type Connect, DestinationError, type Sender } from "./destinations.ts";
export {
  type EnvelopeOptions,
  type HeldState,
  type MessageState,
  type OutboxEnvelope,
  type OutboxMessage,
  type QueuedRecipient,
  UnknownMessageError,
} from "./message.ts";
export type { EnqueueOptions, OutboxOptions } from "./options.ts";
export { type Enqueued, OutboxUnavailableError } from "./outbox.ts";
export { type DeliveryReport, parseReport, type ReportedRecipient } from "./parse-report.ts";
export {
  type PgBossEnqueueOptions,
  type PgBossOutbox,
  type PgBossOutboxOptions,
  type PgBossWorkOptions,
  pgBossOutbox,
} from "./pg-boss.ts";
export type {
  JobAttempt,
  PgBoss,
  PgBossCallOptions,
  PgBossDatabase,
  PgBossJob,
  PgBossTransaction,
} from "./pg-boss-client.ts";
export type { BudgetRules } from "./places.ts";
export { type PostgresStoreOptions, postgresStore, type SqlClient } from "./postgres-store.ts";
export { type RedisClient, type RedisStoreOptions, redisStore } from "./redis-store.ts";
export type { ReportOptions } from "./report.ts";
export type { Admission, Budget, BudgetStore, HeldMessage, HeldStore, OutboxStore, Request } from "./store.ts";
export type { StoredRefused, StoredReply } from "./stored-reply.ts";
export {
  type Taking,
  type Ticket,
  type TicketAnswer,
  type TicketChange,
  TicketRefusedError,
  type TicketStore,
  ticketedBody,
} from "./ticket.ts";
export { type RetryPolicy, retryOf, type UnknownPolicy, type Verdict } from "./verdict.ts";
export { parseVerp, type Verp, verp } from "./verp.ts";
export type { OutboxWorker, WorkOptions } from "./worker.ts";
