/** The messages that a test server keeps. */
/** A recipient that a message was accepted for. */
export type TestRecipient = {
  readonly address: string;
  /** NOTIFY, ORCPT and so on: names in upper case, true if there is no value. */
  readonly parameters: Readonly<Record<string, string | true>>;
};

/** A message that the server accepted. */
export type TestMessage = {
  /** The sender of the envelope; "" for a report. */
  readonly from: string;
  /** The addresses of the accepted recipients. */
  readonly to: readonly string[];
  /** The accepted recipients with their parameters. */
  readonly recipients: readonly TestRecipient[];
  /** SIZE, BODY, RET, ENVID and so on, as for recipients. */
  readonly parameters: Readonly<Record<string, string | true>>;
  /** The bytes of the message: lines end in CRLF, and dots are not doubled. */
  readonly content: Uint8Array;
  /** The same as text. */
  readonly text: string;
  /** The command that carried it. */
  readonly command: "DATA" | "BDAT";
  /** Whether it arrived over STARTTLS or implicit TLS. */
  readonly secure: boolean;
  /** The user that was logged in. */
  readonly user: string | undefined;
  /** The number of its connection, from 1 on. */
  readonly connection: number;
};

/** Makes a message for the accepted recipients. */
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
