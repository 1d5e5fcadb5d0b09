/** One connection to the scenario's server: the dialogue of RFC 5321 and 2033, with the drawn faults. */
import type { MemoryStream } from "../../transports/memory.ts";
import { keyOf, type Ledger } from "./ledger.ts";
import type { FaultDraw, Misbehaviour } from "./misbehaviour.ts";
import type { Login as LoginKind, ServerPlan, Stage, Weather } from "./scenario.ts";
import { Login } from "./server-login.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** The common state of all connections. */
export type Surroundings = {
  readonly time: VirtualTime;
  readonly plan: ServerPlan;
  readonly protocol: "smtp" | "lmtp";
  readonly login: LoginKind;
  readonly ledger: Ledger;
  /** The number of the server's open connections, including this one. */
  readonly open: () => number;
  /** Receives a line for the trace; undefined: there is no trace. */
  readonly note: ((text: string) => void) | undefined;
  readonly ended: (session: ServerSession) => void;
};

/** An open transaction. */
type Transaction = { readonly from: string; readonly accepted: string[]; chunks: string; refusedChunk: boolean };

type Reading =
  | { readonly what: "command" | "content" | "response" }
  | { readonly what: "chunk"; readonly octets: number; readonly last: boolean };

const COMMAND: Reading = { what: "command" };

/** Plays the server's part until one side ends the connection. */
export class ServerSession {
  readonly #around: Surroundings;
  readonly #stream: MemoryStream;
  readonly #draw: FaultDraw;
  readonly #login: Login;
  #weather: Weather;
  #unread = "";
  #reading: Reading = COMMAND;
  #isBusy = false;
  #state: "open" | "silent" | "over" = "open";
  #isFrozen = false;
  #isOutOfStep = false;
  #greeted = false;
  #transaction: Transaction | undefined;
  #messages = 0;
  #contentFaultDrawn = false;
  #arrivesAt = 0;
  #leavesAt = 0;
  #heardAt: number;

  constructor(around: Surroundings, stream: MemoryStream, weather: Weather, draw: FaultDraw) {
    this.#around = around;
    this.#stream = stream;
    this.#weather = weather;
    this.#draw = draw;
    this.#login = new Login(around.login, around.plan.mechanisms, () => this.#weather);
    this.#heardAt = around.time.now;
  }

  /** Greets, and reads commands. */
  begin(): void {
    const { plan, open } = this.#around;
    void this.#read();
    this.#watchIdleness();
    if (this.#weather === "greeting hangs") return this.#fallSilent();
    if (this.#weather === "reset") return this.#end("reset");
    if (this.#weather === "421 greeting") return this.#dismiss("421 4.3.2 not now");
    if (open() > plan.maxConnections) return this.#dismiss("421 4.7.0 too many connections");
    if (this.#weather === "451 greeting") return this.#reply("greeting", "451 4.3.0 later");
    if (this.#weather === "554 greeting") return this.#reply("greeting", "554 5.7.1 go away");
    this.#reply("greeting", "220 mail.test ESMTP");
  }

  /** The server works from now on: a connection that hangs is reset. */
  recover(): void {
    this.#weather = "accepted";
    if (this.#state === "silent" || this.#isFrozen) this.#end("reset");
  }

  async #read(): Promise<void> {
    const { time } = this.#around;
    for (;;) {
      const bytes = await this.#stream.read().catch(() => null);
      this.#arrivesAt = Math.max(this.#arrivesAt, time.now + this.#draw.latency());
      if (bytes === null) return void time.at(this.#arrivesAt, () => this.#end("fin"));
      const text = latin1(bytes);
      time.at(this.#arrivesAt, () => this.#arrived(text));
      if (this.#isFrozen) return;
      // A server that reads no faster than bytes arrive makes the writer wait.
      if (this.#around.plan.highWaterMark < 1_000) await time.wait(Math.min(1, this.#draw.latency()));
    }
  }

  #arrived(text: string): void {
    this.#heardAt = this.#around.time.now;
    if (this.#state !== "open") return;
    this.#unread += text;
    this.#goOn();
  }

  #goOn(): void {
    while (!this.#isBusy && this.#state === "open") {
      if (this.#reading.what === "content") {
        if (!this.#content()) return;
      } else if (this.#reading.what === "chunk") {
        const { octets, last } = this.#reading;
        if (this.#unread.length < octets) return this.#faultInContent();
        this.#chunk(this.#cut(octets), last);
      } else {
        const end = this.#unread.indexOf("\r\n");
        if (end < 0) return;
        const line = this.#cut(end + 2).slice(0, -2);
        if (this.#reading.what === "response") this.#response(line);
        else this.#command(line);
      }
    }
  }

  #cut(length: number): string {
    const head = this.#unread.slice(0, length);
    this.#unread = this.#unread.slice(length);
    return head;
  }

  #command(line: string): void {
    const [verb = ""] = line.split(/[ :]/, 1);
    switch (verb) {
      case "EHLO":
      case "LHLO":
        return this.#ehlo();
      case "HELO":
        return this.#reply("EHLO", this.#weather.endsWith("EHLO") ? "451 4.3.0 later" : "250 mail.test", (code) => {
          this.#greeted = isGood(code);
        });
      case "AUTH":
        return this.#authenticate(this.#login.begin(line));
      case "MAIL":
        return this.#mail(line);
      case "RCPT":
        return this.#rcpt(/<(.*?)>/.exec(line)?.[1] ?? "");
      case "DATA":
        return this.#data();
      case "BDAT":
        return this.#bdat(line);
      case "RSET":
        return this.#reply("RSET", "250 2.0.0 reset", (code) => {
          if (isGood(code)) this.#transaction = undefined;
        });
      case "QUIT":
        return this.#reply("QUIT", "221 2.0.0 bye", () => this.#end("fin"));
      default:
        return this.#reply("NOOP", verb === "NOOP" ? "250 2.0.0 ok" : "500 5.5.2 no such command");
    }
  }

  #ehlo(): void {
    if (this.#weather === "421 EHLO") return this.#dismiss("421 4.3.2 not now");
    if (this.#weather === "closed at EHLO") return this.#end("fin");
    if (this.#weather === "451 EHLO") return this.#reply("EHLO", "451 4.3.0 later");
    const { pipelining, chunking, mailMax, rcptMax } = this.#around.plan;
    const limits = [mailMax && `MAILMAX=${mailMax}`, rcptMax && `RCPTMAX=${rcptMax}`].filter(Boolean);
    const lines = [
      "mail.test",
      "ENHANCEDSTATUSCODES",
      ...(pipelining ? ["PIPELINING"] : []),
      ...(chunking ? ["CHUNKING"] : []),
      ...(limits.length > 0 ? [`LIMITS ${limits.join(" ")}`] : []),
      ...this.#login.offer,
      "8BITMIME",
    ];
    const text = lines.map((line, index) => `250${index < lines.length - 1 ? "-" : " "}${line}`).join("\r\n");
    this.#reply("EHLO", text, (code) => {
      this.#greeted = isGood(code);
      this.#transaction = undefined;
      if (this.#around.login === "none") this.#rest();
    });
  }

  #authenticate(answer: ReturnType<Login["begin"]>): void {
    if (answer.verdict === undefined) {
      this.#reading = { what: "response" };
      return this.#say(`334 ${answer.challenge}`);
    }
    if (this.#weather === "closed at AUTH") return this.#end("fin");
    this.#reply("AUTH", answer.verdict, (code) => {
      this.#login.isOver = code === 235;
      if (code === 235) this.#rest();
    });
  }

  #response(line: string): void {
    this.#reading = COMMAND;
    this.#authenticate(this.#login.respond(line));
  }

  #mail(line: string): void {
    const { ledger, plan } = this.#around;
    const from = /<(.*?)>/.exec(line)?.[1] ?? "";
    if (this.#weather === "dead at MAIL") return this.#die();
    this.#markTransaction(from);
    const refused = (code: number | undefined): void => {
      if (code !== undefined && code >= 400) ledger.entry(keyOf(from) ?? "").codes.add(code);
    };
    if (this.#messages >= plan.maxMessages) {
      refused(421);
      return this.#dismiss("421 4.7.0 enough for one connection");
    }
    if (!this.#greeted || this.#transaction !== undefined) return this.#reply("MAIL", "503 5.5.1 not now", refused);
    if (!this.#login.isOver) return this.#reply("MAIL", "530 5.7.0 log in first", refused);
    this.#messages++;
    this.#reply("MAIL", "250 2.1.0 ok", (code) => {
      refused(code);
      this.#markTransaction(from);
      if (isGood(code)) this.#transaction = { from, accepted: [], chunks: "", refusedChunk: false };
    });
  }

  #rcpt(to: string): void {
    const { ledger, plan } = this.#around;
    const transaction = this.#transaction;
    if (transaction === undefined) return this.#reply("RCPT", "503 5.5.1 no sender");
    const isFull = transaction.accepted.length >= (plan.rcptMax ?? Number.POSITIVE_INFINITY);
    this.#reply("RCPT", isFull ? "452 4.5.3 too many recipients" : "250 2.1.5 ok", (code) => {
      if (isGood(code)) transaction.accepted.push(to);
      else if (code !== undefined) ledger.entry(keyOf(transaction.from) ?? "").refusals.set(to, code);
    });
  }

  #data(): void {
    const { accepted = [], from = "" } = this.#transaction ?? {};
    this.#reply("DATA", accepted.length === 0 ? "554 5.5.1 no recipients" : "354 go on", (code) => {
      if (code !== undefined && code >= 400) this.#around.ledger.entry(keyOf(from) ?? "").codes.add(code);
      if (code !== 354) return;
      this.#reading = { what: "content" };
      this.#contentFaultDrawn = false;
    });
  }

  /** Reads a content; false if it is not complete yet. */
  #content(): boolean {
    const end = this.#unread.startsWith(".\r\n") ? 0 : this.#unread.indexOf("\r\n.\r\n") + 2;
    if (end === 1) {
      if (this.#unread !== "") this.#faultInContent();
      return false;
    }
    const content = this.#cut(end + 3).slice(0, -3);
    this.#reading = COMMAND;
    this.#received(content.replace(/^\./gm, ""), true);
    return true;
  }

  #bdat(line: string): void {
    const [, octets = "0", last] = /^BDAT (\d+)( LAST)?$/.exec(line) ?? [];
    this.#contentFaultDrawn = false;
    this.#reading = { what: "chunk", octets: Number(octets), last: last !== undefined };
  }

  #chunk(chunk: string, last: boolean): void {
    this.#reading = COMMAND;
    const transaction = this.#transaction;
    if (transaction === undefined || transaction.accepted.length === 0 || transaction.refusedChunk) {
      return this.#reply(last ? "end" : "BDAT", "503 5.5.1 no recipients");
    }
    transaction.chunks += chunk;
    if (last) return this.#received(transaction.chunks, true);
    this.#reply("BDAT", "250 2.0.0 chunk", (code) => {
      transaction.refusedChunk ||= !isGood(code);
    });
  }

  /** A message was received completely. */
  #received(content: string, whole: boolean): void {
    const transaction = this.#transaction;
    this.#transaction = undefined;
    if (transaction === undefined || !whole) return this.#reply("end", "503 5.5.1 no sender");
    const { accepted, from } = transaction;
    const entry = this.#around.ledger.entry(keyOf(from) ?? "");
    entry.contents.push(content);
    const verdicts = this.#around.protocol === "lmtp" ? accepted.map((one) => [one]) : [accepted];
    const next = (): void => {
      const recipients = verdicts.shift();
      if (recipients === undefined) return this.#rest();
      this.#reply("end", "250 2.0.0 queued", (code, inSilence) => {
        this.#markTransaction(from);
        for (const one of recipients) {
          if (isGood(code) || inSilence) entry.taken.set(one, (entry.taken.get(one) ?? 0) + 1);
          else if (code !== undefined) entry.refusals.set(one, code);
          if (code !== undefined && !isGood(code)) entry.codes.add(code);
        }
        // Without a reply, the other recipients get none, either.
        if (code !== undefined) next();
      });
    };
    next();
  }

  /** A fault in the middle of a message, once for each message. */
  #faultInContent(): void {
    if (this.#contentFaultDrawn) return;
    this.#contentFaultDrawn = true;
    const fault = this.#draw.fault("content");
    if (fault === undefined) return;
    this.#around.note?.(`the server: ${fault.kind} in the content`);
    if (fault.text !== undefined) {
      this.#write(fault.text);
      this.#around.ledger.entry(keyOf(this.#transaction?.from ?? "") ?? "").codes.add(Number(fault.text.slice(0, 3)));
    }
    if (fault.kind === "slow") return;
    if (fault.kind === "freeze") this.#freeze();
    if (fault.andThen === "fin" || fault.andThen === "reset") this.#end(fault.andThen);
    else this.#fallSilent();
  }

  /**
   * Replies. `sent` gets the code, or undefined without a reply, and whether the server accepted the message silently.
   */
  #reply(stage: Stage, good: string, sent: (code: number | undefined, inSilence: boolean) => void = () => {}): void {
    this.#isBusy = true;
    const fault = this.#draw.fault(stage);
    if (fault !== undefined) this.#around.note?.(`the server: ${fault.kind} at ${stage}`);
    const delay = this.#draw.latency() + (fault?.kind === "slow" ? (fault.ms ?? 0) : 0);
    this.#leavesAt = Math.max(this.#leavesAt, this.#around.time.now + delay);
    this.#around.time.at(this.#leavesAt, () => {
      if (this.#state !== "open") return;
      this.#isBusy = false;
      this.#perform(this.#draw.isActive ? fault : undefined, good, sent);
      this.#goOn();
    });
  }

  #perform(
    fault: Misbehaviour | undefined,
    good: string,
    sent: (code: number | undefined, inSilence: boolean) => void,
  ): void {
    const text = fault?.kind === "cut" ? good.slice(0, Math.ceil(good.length / 2)) : (fault?.text ?? `${good}\r\n`);
    const isSaid = fault?.kind !== "drop before" && fault?.kind !== "stall" && fault?.kind !== "freeze";
    if (isSaid) this.#write(text);
    if (fault?.kind === "stray") this.#write("250 2.0.0 nobody asked\r\n");
    if (fault?.kind === "stray") this.#loseStep();
    const code = isSaid && fault?.kind !== "cut" ? /^([2-5]\d\d)(?: [^\n]*)?\r\n$/m.exec(text)?.[1] : undefined;
    sent(code === undefined ? undefined : Number(code), code === undefined && fault?.takes === true);
    if (fault?.kind === "freeze") this.#freeze();
    if (fault?.andThen === "silence") this.#fallSilent();
    else if (fault?.andThen !== undefined) this.#end(fault.andThen);
  }

  #say(text: string): void {
    this.#isBusy = true;
    this.#leavesAt = Math.max(this.#leavesAt, this.#around.time.now + this.#draw.latency());
    this.#around.time.at(this.#leavesAt, () => {
      this.#isBusy = false;
      this.#write(`${text}\r\n`);
      this.#goOn();
    });
  }

  /** Nothing is in progress: the server may send something unsolicited. */
  #rest(): void {
    const fault = this.#draw.fault("idle");
    if (fault === undefined) return;
    const since = this.#heardAt;
    this.#around.time.after(fault.ms ?? 0, () => {
      if (!this.#draw.isActive || this.#state !== "open" || this.#heardAt !== since || this.#unread !== "") return;
      this.#around.note?.(`the server: ${fault.kind} while idle`);
      const text = fault.kind === "stray" ? "250 2.0.0 nobody asked\r\n" : fault.text;
      if (text !== undefined) this.#write(text);
      if (text !== undefined && fault.andThen === undefined) this.#loseStep();
      if (fault.andThen === "silence" || fault.kind === "slow") this.#fallSilent();
      else if (fault.andThen !== undefined) this.#end(fault.andThen);
    });
  }

  #dismiss(text: string): void {
    this.#isBusy = true;
    this.#leavesAt = Math.max(this.#leavesAt, this.#around.time.now + this.#draw.latency());
    this.#around.time.at(this.#leavesAt, () => {
      this.#write(`${text}\r\n`);
      this.#end("fin");
    });
  }

  #die(): void {
    this.#draw.dies() === "421" ? this.#dismiss("421 4.3.2 going down") : this.#end(this.#draw.ending());
  }

  #write(text: string): void {
    if (this.#state === "over") return;
    void this.#stream.write(Buffer.from(text, "latin1"))?.catch(() => {});
  }

  #fallSilent(): void {
    if (this.#state === "open") this.#state = "silent";
  }

  /** From now on, replies answer other commands than they should. */
  #loseStep(): void {
    this.#isOutOfStep = true;
    if (this.#transaction !== undefined) this.#markTransaction(this.#transaction.from);
  }

  #markTransaction(from: string): void {
    if (this.#isOutOfStep) this.#around.ledger.entry(keyOf(from) ?? "").outOfStep = true;
  }

  /** Reads no more: the connection is lost, and no side is notified. */
  #freeze(): void {
    this.#isFrozen = true;
    this.#around.ended(this);
  }

  /** Ends the connection, in order or by a reset. Nothing reads the client's later bytes. */
  #end(how: "fin" | "reset"): void {
    if (this.#state === "over") return;
    this.#state = "over";
    if (how === "fin") this.#stream.end();
    this.#around.time.after(how === "fin" ? this.#draw.latency() : 0, () =>
      this.#stream.abort(new Error("the server is gone")),
    );
    this.#around.ended(this);
  }

  #watchIdleness(): void {
    const { time, plan } = this.#around;
    const until = this.#heardAt + plan.idleTimeout;
    time.at(this.#isBusy ? Math.max(until, time.now + 1_000) : until, () => {
      if (this.#state !== "open") return;
      if (time.now < this.#heardAt + plan.idleTimeout || this.#isBusy) return this.#watchIdleness();
      this.#around.note?.("the server: 421 after a timeout");
      this.#dismiss("421 4.4.2 timeout");
    });
  }
}

function isGood(code: number | undefined): boolean {
  return code !== undefined && code >= 200 && code < 300;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
