/** The diagnostics channels: their names and payloads are public, and without subscribers they cost nothing. */
import { AsyncLocalStorage } from "node:async_hooks";
import diagnostics from "node:diagnostics_channel";
import { afterEach, describe, expect, it } from "vitest";
import {
  type ConnectionInfo,
  type DiagnosticsChannels,
  SMTP,
  SMTPDataError,
  type SMTPOptions,
  SMTPPool,
} from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { session as connected } from "../support/session.ts";

type Name = keyof DiagnosticsChannels;
type Event = { [name in Name]: DiagnosticsChannels[name] & { readonly channel: name } }[Name];

const NAMES: { readonly [name in Name]: true } = {
  "smtplib:connection:start": true,
  "smtplib:connection:open": true,
  "smtplib:connection:error": true,
  "smtplib:connection:end": true,
  "smtplib:command": true,
  "smtplib:reply": true,
  "smtplib:delivery:start": true,
  "smtplib:delivery:end": true,
  "smtplib:delivery:error": true,
};
const DELIVERY: readonly string[] = Object.keys(NAMES).filter((name) => name.includes(":delivery:"));

const subscriptions: (() => void)[] = [];

afterEach(() => {
  for (const end of subscriptions.splice(0)) end();
});

/** Collects the events that are published until the end of the test. */
function collect(names: readonly string[] = Object.keys(NAMES), seen: (event: Event) => void = () => {}): Event[] {
  const events: Event[] = [];
  for (const name of names) {
    const take = (message: unknown): void => {
      const event = { channel: name, ...Object(message) };
      events.push(event);
      seen(event);
    };
    diagnostics.subscribe(name, take);
    subscriptions.push(() => diagnostics.unsubscribe(name, take));
  }
  return events;
}

const session = async (script: Script = {}, options: SMTPOptions = {}): Promise<SMTP> =>
  (await connected({ peer: { loopback: true }, ...script }, options, 587)).smtp;

function only<N extends Name>(events: readonly Event[], name: N): Extract<Event, { channel: N }>[] {
  return events.filter((event): event is Extract<Event, { channel: N }> => event.channel === name);
}

const fail = (smtp: SMTP): Promise<unknown> =>
  smtp.sendmail("ada@example.com", ["charles@example.net"], "Hi!\n").catch((error: unknown) => error);

describe("the diagnostics channels", () => {
  it("tell of the connection, each command with its reply, the delivery, and the end", async () => {
    const events = collect();
    const smtp = await session();
    await smtp.sendmail("ada@example.com", ["charles@example.net"], "Hi!\n");
    await smtp.quit();
    expect(events.map((event) => ("command" in event ? `${event.channel} ${event.command}` : event.channel))).toEqual([
      "smtplib:connection:start",
      "smtplib:reply connect",
      "smtplib:connection:open",
      ...["smtplib:delivery:start"],
      ...["smtplib:command EHLO [127.0.0.1]", "smtplib:reply EHLO [127.0.0.1]"],
      ...["smtplib:command MAIL FROM:<ada@example.com>", "smtplib:reply MAIL FROM:<ada@example.com>"],
      ...["smtplib:command RCPT TO:<charles@example.net>", "smtplib:reply RCPT TO:<charles@example.net>"],
      ...["smtplib:command DATA", "smtplib:reply DATA", "smtplib:reply ."],
      "smtplib:delivery:end",
      ...["smtplib:command QUIT", "smtplib:reply QUIT", "smtplib:connection:end"],
    ]);
    expect(only(events, "smtplib:reply").at(-2)).toMatchObject({
      code: 250,
      message: "2.0.0 queued as 1",
      enhancedCode: "2.0.0",
    });
    expect(only(events, "smtplib:connection:end")[0]?.error).toBeUndefined();
  });

  it("give the same connection and the same delivery in each of their events", async () => {
    const events = collect();
    const smtp = await session();
    const peerWhileOpen = only(events, "smtplib:connection:open")[0]?.connection.peer;
    await smtp.sendmail("ada@example.com", ["charles@example.net"], "Hi!\n");
    await smtp.quit();
    const connections = new Set<ConnectionInfo>(
      events.flatMap((event) => ("connection" in event ? event.connection : [])),
    );
    expect([...connections]).toMatchObject([{ protocol: "smtp", endpoint: { host: "mail.example.com", port: 587 } }]);
    expect(peerWhileOpen).toMatchObject({ loopback: true });
    const deliveries = new Set(events.flatMap((event) => ("delivery" in event ? event.delivery : [])));
    expect([...deliveries]).toEqual([
      {
        protocol: "smtp",
        endpoint: { host: "mail.example.com", port: 587 },
        from: "ada@example.com",
        to: ["charles@example.net"],
        octets: 5,
      },
    ]);
    expect(only(events, "smtplib:delivery:end")[0]?.result).toMatchObject({ accepted: ["charles@example.net"] });
  });

  it("tell of BDAT as of any command", async () => {
    const events = collect(["smtplib:command", "smtplib:reply"]);
    const smtp = await session({ ehlo: ["CHUNKING"] }, { chunking: true });
    await smtp.sendmail("ada@example.com", ["charles@example.net"], "Hi!\n");
    const sent = only(events, "smtplib:command").map(({ command }) => command);
    expect(sent).toContain("BDAT 5 LAST");
    const answered = only(events, "smtplib:reply").map(({ command }) => command);
    expect(answered.slice(-sent.length)).toEqual(sent);
    smtp.close();
  });

  it("give the error that the caller gets", async () => {
    const events = collect(DELIVERY);
    const error = await fail(await session({ on: { ".": "554 5.7.1 spam" } }));
    expect(error).toBeInstanceOf(SMTPDataError);
    expect(only(events, "smtplib:delivery:error").map((event) => event.error)).toEqual([error]);
    expect(only(events, "smtplib:delivery:end")).toEqual([]);
  });

  it("tell of a connection that fails, and of one that is lost, with the reason", async () => {
    const events = collect();
    const refused = new Error("no route");
    const error = await SMTP.connect("gone.example.com", 25, { transport: () => Promise.reject(refused) }).catch(
      (reason: unknown) => reason,
    );
    expect(only(events, "smtplib:connection:error").map((event) => event.error)).toEqual([error]);
    await fail(await session({ on: { DATA: "close" } }));
    expect(only(events, "smtplib:connection:end")).toMatchObject([{ error: { name: "SMTPServerDisconnected" } }]);
    expect(only(events, "smtplib:connection:error")).toHaveLength(1);
  });

  it("tell of deliveries in the context of who asked for them, also of those that wait for their turn", async () => {
    const caller = new AsyncLocalStorage<string>();
    const contexts: unknown[] = [];
    collect(["smtplib:delivery:start"], () => void contexts.push(caller.getStore()));
    const { transport } = new FakeServer();
    const smtp = new SMTP("mail.example.com", 25, { transport });
    const callers = ["first, while the connection is being made", "second", "third"];
    await Promise.all(callers.map((name) => caller.run(name, () => fail(smtp))));
    await caller.run("later", () => smtp.send_message("From: ada@example.com\nTo: charles@example.net\n\nHi!\n"));
    expect(contexts.sort()).toEqual([...callers, "later"].sort());
    smtp.close();
  });

  it("leave it to the caller to hear of a failure that comes while the connection is being made", async () => {
    const events = collect(DELIVERY);
    const { transport } = new FakeServer({ on: { RCPT: "550 no" } });
    const smtp = new SMTP("mail.example.com", 25, { transport });
    const error = await fail(smtp); // an unhandled rejection would fail the run
    expect(only(events, "smtplib:delivery:error").map((event) => event.error)).toEqual([error]);
    smtp.close();
  });

  it.each(Object.keys(NAMES))("are heard one by one: %s", async (name) => {
    const events = collect([name]);
    await fail(await session());
    await fail(await session({ on: { RCPT: "550 no" } }));
    const lost = await session();
    lost.close();
    await SMTP.connect("gone.example.com", 25, { transport: () => Promise.reject(new Error("no route")) }).catch(
      () => {},
    );
    expect(events.length).toBeGreaterThan(0);
    expect(new Set(events.map(({ channel }) => channel))).toEqual(new Set([name]));
  });

  it("mask credentials", async () => {
    const events = collect();
    const secret = btoa("\0somebody\0correct horse");
    const on = { AUTH: (line: string) => `235 ${line}, correct horse` };
    await (await session({ ehlo: ["AUTH PLAIN"], on })).login("somebody", "correct horse");
    expect(only(events, "smtplib:command")).toContainEqual(expect.objectContaining({ command: "AUTH PLAIN ***" }));
    expect(JSON.stringify(events)).not.toContain(secret);
    expect(JSON.stringify(events)).not.toContain("correct horse");
  });

  it("may be subscribed to in the middle of a session, and left again", async () => {
    const smtp = await session();
    const events = collect();
    await smtp.noop();
    expect(events.map(({ channel }) => channel)).toEqual(["smtplib:command", "smtplib:reply"]);
    expect(only(events, "smtplib:command")[0]?.connection.endpoint).toEqual({ host: "mail.example.com", port: 587 });
    for (const end of subscriptions.splice(0)) end();
    await smtp.noop();
    expect(events).toHaveLength(2);
  });

  it("tell of a pool's deliveries once each, in the context of who asked for them, and of each of its connections", async () => {
    const caller = new AsyncLocalStorage<string>();
    const contexts: unknown[] = [];
    collect(["smtplib:delivery:start"], () => void contexts.push(caller.getStore()));
    const events = collect();
    const { transport } = new FakeServer({ on: { RCPT: ["250 ok", "250 ok", "550 no"] } });
    const pool = new SMTPPool({ host: "mail.example.com", port: 25, transport, maxConnections: 1 });
    const callers = ["one", "two", "three"];
    const send = (): Promise<unknown> => pool.sendmail("ada@example.com", "charles@example.net", "Hi!\n");
    await Promise.allSettled(callers.map((name) => caller.run(name, send)));
    await pool.close();
    expect(contexts.sort()).toEqual(callers.sort());
    expect(only(events, "smtplib:delivery:end")).toHaveLength(2);
    expect(only(events, "smtplib:delivery:error")).toHaveLength(1);
    expect(only(events, "smtplib:delivery:start")[0]?.delivery.endpoint).toEqual({
      host: "mail.example.com",
      port: 25,
    });
    expect(only(events, "smtplib:connection:open")).toHaveLength(1);
    expect(only(events, "smtplib:connection:end")).toMatchObject([{ error: undefined }]);
  });

  it("tell of sessions over the runtime's own sockets", async () => {
    await using server = await startEmbeddedServer();
    const events = collect();
    const smtp = await SMTP.connect(server.host, server.port, { context: { ca: server.ca } });
    await smtp.starttls();
    await smtp.sendmail("ada@example.com", ["charles@example.net"], "Hi!\n");
    await smtp.quit();
    const [open] = only(events, "smtplib:connection:open");
    expect(open?.connection).toMatchObject({
      endpoint: { host: "127.0.0.1", port: server.port },
      peer: { remoteAddress: "127.0.0.1", tls: { verified: true } },
    });
    expect(only(events, "smtplib:delivery:end")).toHaveLength(1);
  });
});
