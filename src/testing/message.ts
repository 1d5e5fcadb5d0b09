/** What a test server keeps of a message. */
/** Somebody that a message was accepted for. */
export type TestRecipient = {
  readonly address: string;
  /** NOTIFY, ORCPT and so on: names in upper case, true where there is no value. */
  readonly parameters: Readonly<Record<string, string | true>>;
};

/** A message that the server took. */
export type TestMessage = {
  /** The sender of the envelope; "" for a report. */
  readonly from: string;
  /** The addresses of the accepted recipients. */
  readonly to: readonly string[];
  /** The same with what was said of them. */
  readonly recipients: readonly TestRecipient[];
  /** SIZE, BODY, RET, ENVID and so on, as for recipients. */
  readonly parameters: Readonly<Record<string, string | true>>;
  /** The octets of the message: lines end in CRLF, dots are as the author wrote them. */
  readonly content: Uint8Array;
  /** The same as text. */
  readonly text: string;
  /** The command that carried it. */
  readonly command: "DATA" | "BDAT";
  /** Whether STARTTLS or implicit TLS came before. */
  readonly secure: boolean;
  /** The user that was logged in. */
  readonly user: string | undefined;
  /** Which connection it came by, from 1 on. */
  readonly connection: number;
};

/** A message for those who were accepted. */
export function makeMessage(
  about: Omit<TestMessage, "to" | "recipients" | "text">,
  recipients: readonly TestRecipient[],
): TestMessage {
  return {
    ...about,
    to: recipients.map(({ address }) => address),
    recipients,
    get text(): string {
      return new TextDecoder().decode(about.content);
    },
  };
}
