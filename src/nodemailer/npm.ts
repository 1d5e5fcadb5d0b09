/**
 * The entry of npm's package: `index.ts`, and the type that nodemailer's `createTransport()` gives for it. JSR allows no
 * declarations of another package's, so its entry is `index.ts` alone.
 *
 * @module
 */
import type { Transporter } from "nodemailer";
import type { SentMessageInfo, SmtplibTransport } from "./index.ts";

export * from "./index.ts";

/** `SentMessageInfo` is another type in the declaration below: nodemailer's types have one of that name. */
type SmtplibSentMessageInfo = SentMessageInfo;

declare module "nodemailer" {
  export function createTransport(transport: SmtplibTransport, defaults?: object): Transporter<SmtplibSentMessageInfo>;
}
