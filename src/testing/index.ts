/**
 * For tests of code that sends mail: a mail server in memory, and transcripts of dialogues, recorded and replayed.
 * A test double, and no mail server: it keeps what it gets, says what it is told to, and listens on no port.
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
