/** Serves the page of `serve` over HTTP, with messages as they arrive, on this machine only. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { renderTranscript } from "../../../testing/index.ts";
import type { History, HistoryEvent, MessageRecord, SessionRecord } from "../history.ts";
import { listen } from "../mail-server.ts";
import { BODY_POLICY, htmlBody } from "./html-body.ts";
import { type ReadMail, readMail } from "./mime.ts";
import { PAGE, PAGE_POLICY, PAGE_SCRIPT, PAGE_STYLE } from "./page.ts";

/** A running page. */
export type Ui = { readonly url: string; close(): Promise<void> };

/** The policy of files that are only viewed or saved. */
const INERT = "sandbox; default-src 'none'";

/** Characters of a subject that lists and titles show. */
const LONGEST_SUBJECT = 500;

/** The policy of a picture of a dialogue: its own style, and nothing else. */
const PICTURE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'";

/**
 * Serves the page on 127.0.0.1.
 * @throws {CommandError} if the port cannot be opened
 */
export async function startUi(history: History, port: number): Promise<Ui> {
  const ui = new UiServer(history);
  await listen(ui.server, { host: "127.0.0.1", port });
  return ui;
}

class UiServer implements Ui {
  readonly server: Server;
  readonly #history: History;
  readonly #open = new Set<ServerResponse>();

  constructor(history: History) {
    this.#history = history;
    this.server = createServer((request, response) => this.#answer(request, response));
  }

  get url(): string {
    const address = this.server.address();
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`;
  }

  async close(): Promise<void> {
    for (const response of this.#open) response.end();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // Another site's name may also resolve to this address; its scripts must not read the messages.
    const host = /^(?:127\.0\.0\.1|localhost)(?::\d+)?$/.test(request.headers.host ?? "");
    if (!host || request.method !== "GET") return void response.writeHead(host ? 405 : 421).end();
    const [path = "/"] = (request.url ?? "/").split("?", 1);
    if (path === "/events") return this.#events(response);
    const found = this.#resource(path);
    if (found === undefined) return void response.writeHead(404, headersFor("text/plain", INERT)).end("not found\n");
    response.writeHead(200, { ...headersFor(found.type, found.policy), ...found.headers });
    response.end(found.body);
  }

  #resource(path: string): Resource | undefined {
    if (Object.hasOwn(PAGES, path)) return PAGES[path];
    const [, kind, id, rest = ""] =
      /^\/(messages|sessions)\/(\d{1,15})(\.\w+|\/attachments\/\d{1,5})$/.exec(path) ?? [];
    if (kind === "sessions" && rest === ".html") return sessionPage(this.#history.session(Number(id)));
    const record = kind === "messages" ? this.#history.message(Number(id)) : undefined;
    return record === undefined ? undefined : messageResource(record, rest);
  }

  #events(response: ServerResponse): void {
    response.writeHead(200, headersFor("text/event-stream", INERT));
    const send = (kind: string, data: unknown): void => {
      response.write(`event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
    };
    const { messages, sessions } = this.#history;
    send("state", { messages: messages.map(shownMessage), sessions: sessions.map(shownSession) });
    const tell = (event: HistoryEvent): void => {
      if (event.kind === "message") send("messages", shownMessage(event.message));
      else send("sessions", shownSession(event.session));
    };
    const stop = this.#history.listen(tell);
    this.#open.add(response);
    response.on("close", () => {
      stop();
      this.#open.delete(response);
    });
  }
}

/** A resource of the page. */
type Resource = {
  readonly type: string;
  readonly policy: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
};

const PAGES: Readonly<Record<string, Resource>> = {
  "/": { type: "text/html; charset=utf-8", policy: PAGE_POLICY, body: PAGE },
  "/app.js": { type: "text/javascript; charset=utf-8", policy: INERT, body: PAGE_SCRIPT },
  "/style.css": { type: "text/css; charset=utf-8", policy: INERT, body: PAGE_STYLE },
};

function sessionPage(session: SessionRecord | undefined): Resource | undefined {
  if (session === undefined) return undefined;
  const body = renderTranscript(session.transcript());
  return { type: "text/html; charset=utf-8", policy: PICTURE_POLICY, body };
}

function messageResource(record: MessageRecord, rest: string): Resource | undefined {
  const { content } = record.message;
  switch (rest) {
    case ".json":
      return { type: "application/json", policy: INERT, body: JSON.stringify(detailOf(record)) };
    case ".html":
      return { type: "text/html; charset=utf-8", policy: BODY_POLICY, body: htmlBody(mailOf(record)) };
    case ".txt":
      return { type: "text/plain; charset=utf-8", policy: INERT, body: content };
    case ".eml":
      return { type: "message/rfc822", policy: INERT, body: content, headers: { "content-disposition": "attachment" } };
    default: {
      const [, index = ""] = /^\/attachments\/(\d+)$/.exec(rest) ?? [];
      const found = index === "" ? undefined : mailOf(record).attachments[Number(index)];
      if (found === undefined) return undefined;
      const headers = { "content-disposition": "attachment" };
      return { type: "application/octet-stream", policy: INERT, body: found.content, headers };
    }
  }
}

const read = new WeakMap<MessageRecord, ReadMail>();

/** A message, read once. */
function mailOf(record: MessageRecord): ReadMail {
  const known = read.get(record) ?? readMail(record.message.content);
  read.set(record, known);
  return known;
}

function shownSession({ began, client, ended, id }: SessionRecord): object {
  return { id, client, at: began.toISOString(), ...(ended === undefined ? {} : { ended: ended.toISOString() }) };
}

function shownMessage(record: MessageRecord): object {
  const { came, id, message } = record;
  const subject = mailOf(record).headers.find(([name]) => name.toLowerCase() === "subject")?.[1] ?? "";
  return { id, at: came.toISOString(), from: message.from, to: message.to, subject: shortened(subject) };
}

/** A subject for a list. */
function shortened(subject: string): string {
  return subject.length > LONGEST_SUBJECT ? `${subject.slice(0, LONGEST_SUBJECT)}…` : subject;
}

function detailOf(record: MessageRecord): object {
  const { connection, content, secure, user } = record.message;
  const { attachments, headers, html, text } = mailOf(record);
  return {
    ...shownMessage(record),
    session: connection,
    octets: content.length,
    secure,
    user,
    headers,
    text,
    html: html !== undefined,
    attachments: attachments.map(({ name, type, content: octets }) => ({ name, type, octets: octets.length })),
  };
}

function headersFor(type: string, policy: string): Record<string, string> {
  return {
    "content-type": type,
    "content-security-policy": policy,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
  };
}
