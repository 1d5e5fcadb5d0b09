/**
 * For tests of code that sends mail: a mail server in memory, and transcripts of dialogues, recorded and replayed.
 * It is a test double: it keeps the messages that it gets, replies as requested, and listens on no port.
 *
 * @module
 */
export type { Answer, AnswerContext, Answers, Reaction, Stage } from "./answers.ts";
export type { Account } from "./auth.ts";
export type { TestMessage, TestRecipient } from "./message.ts";
export { type Recording, type RecordOptions, recordTranscript } from "./record.ts";
export { renderTranscript } from "./render/index.ts";
export { type Replay, type ReplayOptions, replayTranscript } from "./replay.ts";
export { startServer, type TestServer, type TestServerOptions } from "./server.ts";
export type { ServerStream } from "./server-stream.ts";
