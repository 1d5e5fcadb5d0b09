/**
 * The protocol without I/O: codecs, the plan of a message, and the dialogue's state. The subpath `smtplib/core`.
 *
 * @module
 */
export * from "./a-label.ts";
export * from "./address.ts";
export * from "./auth-command.ts";
export * from "./base64.ts";
export * from "./bdat-command.ts";
export { DataEncoder, type Measure, measure, type Skip } from "./body.ts";
export { checkArgument } from "./bytes.ts";
export * from "./chunk-encoder.ts";
export * from "./command.ts";
export * from "./dialogue.ts";
export { describeStatus } from "./extensions/enhancedstatuscodes.ts";
export * from "./extensions/extension.ts";
export { EXTENSIONS, mailParameters, offerOf, rcptParameters } from "./extensions/index.ts";
export * from "./features.ts";
export * from "./headers.ts";
export * from "./listed-parameters.ts";
export * from "./long-body.ts";
export * from "./mailbox.ts";
export { Output, type OutputMemory } from "./output.ts";
export * from "./own-command.ts";
export * from "./plan.ts";
export * from "./quotedata.ts";
export * from "./reply.ts";
export * from "./secret-command.ts";
export * from "./xtext.ts";
