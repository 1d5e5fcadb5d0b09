/** Replies: the value, and the incremental parser that makes them out of bytes (RFC 5321 4.2). */
export type Reply = readonly [code: number, message: string] & {
  readonly code: number;
  readonly message: string;
  readonly lines: readonly string[];
  readonly enhancedCode: string | undefined;
};
export type Refused = Record<string, Reply>;
