/** SASL mechanisms, each a function from credentials to a `Mechanism`: the subpath `smtplib/sasl`. */
export type { TlsInfo } from "../byte-stream.ts";
export { cramMd5 } from "./cram-md5.ts";
export { login } from "./login.ts";
export type { Mechanism, MechanismContext, PasswordCredentials } from "./mechanism.ts";
export { type PlainCredentials, plain } from "./plain.ts";
