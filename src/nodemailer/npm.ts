/**
 * The entry of the npm package: `index.ts`, and the type of nodemailer's `createTransport()` for it. JSR does not allow
 * to augment another package's types, so its entry is `index.ts` alone.
 *
 * @module
 */
import type { Transporter } from "nodemailer";
import type { SentMessageInfo, SmtplibTransport } from "./index.ts";

export * from "./index.ts";

/** In the declaration below, `SentMessageInfo` is a type of nodemailer with the same name. */
type SmtplibSentMessageInfo = SentMessageInfo;

declare module "nodemailer" {
  export function createTransport(transport: SmtplibTransport, defaults?: object): Transporter<SmtplibSentMessageInfo>;
}
