/** The reasons for the client's commands: a sentence for each command and each parameter. */
import type { SMTPOptions } from "../../index.ts";
import type { OutgoingMessage } from "./message.ts";
import type { Asked } from "./message-options.ts";

/** The facts that decide about a command. */
export type Circumstances = {
  readonly features: Readonly<Record<string, string>>;
  readonly message: OutgoingMessage;
  readonly options: SMTPOptions;
  readonly asked: { readonly message: Asked };
};

/** The reasons for a line. */
export function reasonsFor(line: string, about: Circumstances): string[] {
  const [verb = ""] = line.split(" ", 1);
  if (verb === "DATA") return [whyData(about)];
  if (verb === "BDAT") return [whyChunks(about)];
  if (verb !== "MAIL" && verb !== "RCPT") return [];
  const parameters = line.slice(line.lastIndexOf(">") + 1).trim();
  return parameters === "" ? [] : parameters.split(" ").map((parameter) => whyParameter(parameter, about));
}

function whyParameter(parameter: string, { asked, message }: Circumstances): string {
  const [name = ""] = parameter.split("=", 1);
  switch (name) {
    case "SIZE":
      return `${parameter}: the server takes the size beforehand (RFC 1870)`;
    case "BODY":
      if (asked.message.bodyType !== undefined) return `${parameter}: asked for by --body-type`;
      return `${parameter}: ${message.isStream ? "the content is not known yet" : "the content has octets over 127"}, and the server offers 8BITMIME (RFC 6152)`;
    case "SMTPUTF8":
      return `${parameter}: an address or a header field is not ASCII (RFC 6531)`;
    default:
      return `${parameter}: asked for by ${OPTION_OF[name] ?? "an option"}, and the server offers it`;
  }
}

const OPTION_OF: Readonly<Record<string, string>> = {
  RET: "--ret",
  ENVID: "--envid",
  NOTIFY: "--notify",
  ORCPT: "--orcpt",
  REQUIRETLS: "--requiretls",
  BY: "--by",
  HOLDFOR: "--hold-for",
  HOLDUNTIL: "--hold-until",
  "MT-PRIORITY": "--mt-priority",
  RRVS: "--rrvs",
  AUTH: "--submitter",
};

function whyData({ features, options }: Circumstances): string {
  if (features["chunking"] === undefined) return "the server does not offer CHUNKING";
  if (options.chunking === false) return "--chunking off";
  return "the message is small: BDAT would save nothing";
}

function whyChunks({ asked, message, options }: Circumstances): string {
  if (options.chunking === true) return "--chunking on, and the server offers CHUNKING (RFC 3030)";
  if (asked.message.bodyType === "BINARYMIME") return "BINARYMIME goes by BDAT only (RFC 3030 3)";
  if (options.pipelining === "eager") return "--pipelining eager sends the whole transaction in one flight";
  return `the message is ${message.isStream ? "a stream" : "longer than 64 KiB"}, and the server offers CHUNKING (RFC 3030)`;
}
