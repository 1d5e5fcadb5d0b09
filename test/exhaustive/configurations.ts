/** The explored configurations: each is one server, one client, and two messages. */

/**
 * The kind of a message's body: a string; a stream whose chunks are available at once; or a stream that yields each
 * chunk, ends or fails when the exploration decides, and hangs until then.
 */
export type BodyKind = "string" | "stream" | "driven";

/** One configuration. */
export type Configuration = {
  readonly name: string;
  readonly protocol: "smtp" | "lmtp";
  /** The extensions in the server's reply to EHLO. */
  readonly extensions: readonly string[];
  readonly pipelining: true | "eager";
  /** The option `chunking`: true, so that small messages use BDAT if the server offers it. */
  readonly chunking: true | undefined;
  readonly recipients: readonly [first: number, second: number];
  readonly bodies: readonly [first: BodyKind, second: BodyKind];
  /** The number of chunks of a stream. */
  readonly chunks: 1 | 2;
  /** The server reads only when the exploration decides, and the client's writes wait for that. */
  readonly readsLate: boolean;
  /** The caller connects again, once, after the end of the session. */
  readonly reconnects: boolean;
};

type Way = Pick<Configuration, "extensions" | "pipelining" | "chunking">;

const WAYS: Readonly<Record<string, Way>> = {
  plain: { extensions: [], pipelining: true, chunking: undefined },
  pipelining: { extensions: ["PIPELINING"], pipelining: true, chunking: undefined },
  chunking: { extensions: ["CHUNKING"], pipelining: true, chunking: true },
  "pipelining+chunking": { extensions: ["PIPELINING", "CHUNKING"], pipelining: true, chunking: true },
  eager: { extensions: ["PIPELINING", "CHUNKING"], pipelining: "eager", chunking: undefined },
};

type Messages = Pick<Configuration, "bodies" | "recipients">;

/** The bodies of the messages, and their numbers of recipients. */
const STRINGS: Messages = { bodies: ["string", "string"], recipients: [2, 1] };

const MESSAGES: readonly Messages[] = [
  STRINGS,
  { bodies: ["driven", "string"], recipients: [1, 2] },
  { bodies: ["string", "driven"], recipients: [2, 1] },
  { bodies: ["stream", "stream"], recipients: [1, 2] },
];

const SPECIAL: readonly Pick<Configuration, "readsLate" | "reconnects">[] = [
  { readsLate: true, reconnects: false },
  { readsLate: false, reconnects: true },
];

const USUAL = { readsLate: false, reconnects: false };

/** All configurations: SMTP and LMTP, each with each set of extensions and each pair of messages, and special ones. */
export function configurations(chunks: 1 | 2): Configuration[] {
  const all: Configuration[] = [];
  for (const protocol of ["smtp", "lmtp"] as const) {
    for (const [name, way] of Object.entries(WAYS)) {
      const usual = MESSAGES.map((messages) => ({ ...messages, ...USUAL }));
      const special = SPECIAL.map((one) => ({ ...STRINGS, ...one }));
      for (const one of [...usual, ...special]) {
        const parts = [protocol, name, one.bodies.join("/"), one.recipients.join("/")];
        if (one.readsLate) parts.push("reads late");
        if (one.reconnects) parts.push("reconnects");
        all.push({ name: parts.join(" "), protocol, ...way, ...one, chunks });
      }
    }
  }
  return all;
}
