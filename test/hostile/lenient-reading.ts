/**
 * Reads a client's bytes as the most lenient server would: it accepts every end marker of attacks/end-of-data.json as
 * the end of a message, ends a command at CR or LF, and relays content from BDAT by DATA.
 */

/** A message that such a server sees. */
export type Letter = { readonly from: string; readonly to: readonly string[]; readonly content: string };

/** The messages in a client's unencrypted bytes, one character for each byte. */
export function lenientlyRead(sent: string, ends: readonly string[]): Letter[] {
  return new Reader(sent, ends).read();
}

class Reader {
  #rest: string;
  readonly #ends: readonly string[];
  readonly #letters: Letter[] = [];
  #from = "";
  #to: string[] = [];
  #chunks = "";

  constructor(sent: string, ends: readonly string[]) {
    this.#rest = sent;
    this.#ends = ends;
  }

  read(): Letter[] {
    for (let line = this.#line(); line !== undefined; line = this.#line()) this.#command(line);
    return this.#letters;
  }

  #line(): string | undefined {
    const [whole, line] = /^([^\r\n]*)(?:\r\n|\r|\n)/.exec(this.#rest) ?? [];
    if (whole === undefined) return undefined;
    this.#rest = this.#rest.slice(whole.length);
    return line;
  }

  #command(line: string): void {
    const [, address = ""] = /<([^>]*)>/.exec(line) ?? [];
    switch (line.slice(0, 4).toUpperCase()) {
      case "MAIL":
        this.#from = address;
        this.#to = [];
        return;
      case "RCPT":
        this.#to.push(address);
        return;
      case "DATA":
        return this.#data();
      case "BDAT":
        return this.#chunk(line);
    }
  }

  #data(): void {
    // The line before the content has ended.
    const text = `\r\n${this.#rest}`;
    const found = this.#ends.flatMap((end) => {
      const at = text.indexOf(end);
      return at < 0 ? [] : [{ at, next: at + end.length }];
    });
    const first = found.sort((one, other) => one.at - other.at)[0];
    if (first === undefined) {
      this.#rest = "";
      return;
    }
    this.#letter(text.slice(2, first.at));
    this.#rest = text.slice(first.next);
  }

  /** The next hop gets the content by DATA, with another dot after each CRLF that a dot follows. */
  #chunk(line: string): void {
    const [, octets = "0", last] = /^BDAT (\d+)( LAST)?$/i.exec(line) ?? [];
    this.#chunks += this.#rest.slice(0, Number(octets));
    this.#rest = this.#rest.slice(Number(octets));
    if (last === undefined) return;
    const stuffed = this.#chunks.replace(/^\.|(?<=\r\n)\./g, "..");
    this.#chunks = "";
    const envelope = `MAIL FROM:<${this.#from}>\r\n${this.#to.map((to) => `RCPT TO:<${to}>\r\n`).join("")}DATA\r\n`;
    this.#letters.push(...lenientlyRead(`${envelope}${stuffed}.\r\n`, this.#ends));
  }

  #letter(content: string): void {
    this.#letters.push({ from: this.#from, to: this.#to, content });
    this.#from = "";
    this.#to = [];
  }
}
