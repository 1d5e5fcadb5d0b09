/** SASL mechanisms, each a function from credentials to a `Mechanism`: the subpath `smtplib/sasl`. */
export type { TlsInfo } from "../byte-stream.ts";
export { type AnonymousCredentials, anonymous } from "./anonymous.ts";
export type { ChannelBindingType } from "./channel-binding.ts";
export { cramMd5 } from "./cram-md5.ts";
export { type ExternalCredentials, external } from "./external.ts";
export { login } from "./login.ts";
export type {
  AuthorizingCredentials,
  Mechanism,
  MechanismContext,
  PasswordCredentials,
  ServerError,
} from "./mechanism.ts";
export { type OAuthBearerCredentials, oauthbearer, type TokenCredentials, xoauth2 } from "./oauth.ts";
export { type PlainCredentials, plain } from "./plain.ts";
export {
  type ScramCredentials,
  type ScramPlusCredentials,
  scramSha1,
  scramSha1Plus,
  scramSha256,
  scramSha256Plus,
  scramSha512,
  scramSha512Plus,
} from "./scram.ts";
