/**
 * The protocol without I/O: codecs, the plan of a message, and the dialogue's state. The subpath `smtplib/core`.
 *
 * @module
 */
export { aLabel, asciiHostName, isAscii } from "./a-label.ts";
export { excerpt, parseMailbox, quoteaddr } from "./address.ts";
export { authCancel, authCommand, authResponse, lineLength } from "./auth-command.ts";
export { decodeBase64, encodeBase64 } from "./base64.ts";
export { bdatCommand } from "./bdat-command.ts";
export { DataEncoder, type Measure, measure, type Skip } from "./body.ts";
export { checkArgument } from "./bytes.ts";
export { ChunkEncoder } from "./chunk-encoder.ts";
export { Command, checkParameter, MASK, mailLine, type ReplyReceiver, rcptLine } from "./command.ts";
export {
  Dialogue,
  type Exchange,
  type Fault,
  type Group,
  type PendingCommand,
  type Received,
} from "./dialogue.ts";
export { describeStatus } from "./extensions/enhancedstatuscodes.ts";
export {
  beyond,
  type Extension,
  flag,
  type MailOptions,
  numberIn,
  type Offer,
  oneOf,
  type Parameters,
  type RcptOptions,
  someText,
  timestamp,
  wholeNumber,
} from "./extensions/extension.ts";
export { EXTENSIONS, mailParameters, offerOf, rcptParameters } from "./extensions/index.ts";
export { type Features, noFeatures, notOffered, offers, parseFeatures, words } from "./features.ts";
export { type ReadMessage, readMessage } from "./headers.ts";
export { DEFAULT_LIMITS, type Limits, type SessionLimits } from "./limits.ts";
export { listedParameters } from "./listed-parameters.ts";
export { hasEightBit, skipSendable, skipUndotted } from "./long-body.ts";
export { isPlainPath, type Mailbox, type Path } from "./mailbox.ts";
export { Output, type OutputMemory } from "./output.ts";
export { ownCommand, ownResponse, unaskedReply } from "./own-command.ts";
export {
  asServerTakesIt,
  type ContentNeeds,
  type EightBitPolicy,
  type EnvelopeNeeds,
  type EsmtpParameters,
  eightBitRefused,
  isSevenBitOnly,
  noParameters,
  type Options,
  type Plan,
  planMessage,
  planPlain,
  type Recipient,
  type SendingPolicy,
  type Server,
} from "./plan.ts";
export { quotedata } from "./quotedata.ts";
export { isPositive, makeReply, RawReply, type Refused, type Reply, type ReplyFault, ReplyParser } from "./reply.ts";
export { SecretCommand } from "./secret-command.ts";
export { type Position, TRANSITIONS, type TransitionRow } from "./transitions.ts";
export { decodeXtext, encodeUtf8AddrXtext, encodeXtext } from "./xtext.ts";
