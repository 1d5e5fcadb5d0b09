/** What is explored: one configuration is one server, one client, and two messages. */

/**
 * How a message's body comes: a string; a stream whose chunks are there at once; or a stream that gives each chunk, ends
 * or fails when the exploration says so, and hangs as long as it does not.
 */
export type BodyKind = "string" | "stream" | "driven";

/** One configuration. */
export type Configuration = {
  readonly name: string;
  readonly protocol: "smtp" | "lmtp";
  /** What the server offers in its answer to EHLO. */
  readonly extensions: readonly string[];
  readonly pipelining: true | "eager";
  /** The option `chunking`: true, so that BDAT carries small messages where it is offered. */
  readonly chunking: true | undefined;
  readonly recipients: readonly [first: number, second: number];
  readonly bodies: readonly [first: BodyKind, second: BodyKind];
  /** How many chunks a stream has. */
  readonly chunks: 1 | 2;
  /** The server reads only when the exploration says so, and the client's writes wait for that. */
  readonly readsLate: boolean;
  /** The caller connects again, once, after the session is over. */
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

type Bodies = Configuration["bodies"];

const BODIES: readonly Bodies[] = [
  ["string", "string"],
  ["driven", "string"],
  ["string", "driven"],
  ["stream", "stream"],
];

/** All configurations: SMTP and LMTP × what is offered × the bodies × which message has two recipients, and special ones. */
export function configurations(chunks: 1 | 2): Configuration[] {
  const all: Configuration[] = [];
  for (const protocol of ["smtp", "lmtp"] as const) {
    for (const [name, way] of Object.entries(WAYS)) {
      const make = (bodies: Bodies, recipients: readonly [number, number], special: Special = {}): void => {
        const { readsLate = false, reconnects = false } = special;
        const parts = [protocol, name, bodies.join("/"), recipients.join("/")];
        if (readsLate) parts.push("reads late");
        if (reconnects) parts.push("reconnects");
        all.push({ name: parts.join(" "), protocol, ...way, recipients, bodies, chunks, readsLate, reconnects });
      };
      for (const bodies of BODIES)
        for (const recipients of [
          [1, 2],
          [2, 1],
        ] as const)
          make(bodies, recipients);
      make(["string", "string"], [2, 1], { readsLate: true });
      make(["string", "string"], [2, 1], { reconnects: true });
    }
  }
  return all;
}

type Special = { readonly readsLate?: boolean; readonly reconnects?: boolean };
