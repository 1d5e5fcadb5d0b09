/** The modules for the imports of snippets: all hosts lead to the servers of the test. */
import type { PoolOptions } from "../../src/index.ts";
import * as nodemailer from "../../src/nodemailer/npm.ts";
import * as proxies from "../../src/proxy/index.ts";
import * as upyo from "../../src/upyo/index.ts";
import { connect } from "../../transports/node.ts";
import type { ImapServer } from "../support/imap-server.ts";
import { redirected, redirectedOptions, type Servers } from "./redirected.ts";

/** Replaces queues and their outboxes, which have tests of their own with real servers. */
class Idle {
  /** bull-board recognizes a queue by it. */
  readonly metaValues: object = { version: "bullmq" };
  async connect(): Promise<void> {}
  async query(): Promise<void> {}
  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async close(): Promise<void> {}
  async end(): Promise<void> {}
  async install(): Promise<void> {}
  async enqueue(): Promise<void> {}
  async work(): Promise<Idle> {
    return this;
  }
}

const idle = new Idle();

/** Resolves the imports of snippets; adds the opened sessions to `opened`. */
export function snippetModules(
  servers: Servers & { readonly IMAP: ImapServer },
  opened: { close(): unknown }[],
): (specifier: string) => Promise<unknown> {
  const here = (options: PoolOptions): PoolOptions => ({ ...options, ...redirectedOptions(servers.SMTP, options) });
  return async (specifier) => {
    switch (specifier) {
      case "smtplib":
        return redirected(servers, opened);
      case "smtplib/core":
        return import("../../src/core/index.ts");
      case "smtplib/sasl":
        return import("../../src/sasl/index.ts");
      case "smtplib/testing":
        return import("../../src/testing/index.ts");
      case "smtplib/opentelemetry":
        return import("../../src/opentelemetry.ts");
      case "smtplib/outbox":
        return { ...(await import("../../src/outbox/index.ts")), bullmqOutbox: () => idle, pgBossOutbox: () => idle };
      case "bullmq":
      case "pg-boss":
        return { Queue: Idle, PgBoss: Idle };
      case "pg":
        return { default: { Client: Idle } };
      case "smtplib/transports/memory":
        return import("../../transports/memory.ts");
      case "smtplib/transports/web-streams":
        return import("../../transports/web-streams.ts");
      case "smtplib/transports/workers":
        return import("../../transports/workers.ts");
      case "smtplib/transports/node":
        return import("../../transports/node.ts");
      case "smtplib/proxy":
        // Connects without a proxy: the proxies of the snippets do not exist.
        return { ...proxies, socks: () => connect, httpConnect: () => connect };
      case "smtplib/nodemailer":
        return { smtplib: (options: PoolOptions) => nodemailer.smtplib(here(options)) };
      case "smtplib/upyo":
        return {
          SmtplibTransport: class extends upyo.SmtplibTransport {
            constructor(options: PoolOptions) {
              super(here(options));
            }
          },
        };
      case "nodemailer":
        return nodemailerToServer(servers);
      case "imapflow":
        return imapflowTo(servers.IMAP);
      default:
        return import(specifier);
    }
  };
}

/** nodemailer, whose own transports also reach the server. */
async function nodemailerToServer({ SMTP }: Servers): Promise<object> {
  const own = await import("nodemailer");
  const tls = { ca: SMTP.ca, servername: "localhost" };
  const createTransport = (given: { host?: string }, ...more: []) =>
    own.createTransport("host" in given ? { ...given, host: SMTP.host, port: SMTP.port, tls } : given, ...more);
  return { ...own, createTransport };
}

async function imapflowTo({ port }: ImapServer): Promise<object> {
  const { ImapFlow } = await import("imapflow");
  return {
    ImapFlow: class extends ImapFlow {
      constructor(options: ConstructorParameters<typeof ImapFlow>[0]) {
        super({ ...options, host: "127.0.0.1", port, secure: false });
      }
    },
  };
}
