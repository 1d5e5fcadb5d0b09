/** Helpers of the pool's tests: a pool and its server in memory, and the outcome of a call. */
import { SMTPPool } from "../../src/index.ts";
import type { PoolOptions } from "../../src/pool/options.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";

/** A small message. */
export const MESSAGE = "Subject: x\r\n\r\nhello\r\n";

/** A pool and its server. */
export function pooled(script: Script = {}, options: PoolOptions = {}): { server: FakeServer; pool: SMTPPool } {
  const server = new FakeServer(script);
  const pool = new SMTPPool({ host: "mail.example.com", transport: server.transport, ...options });
  return { server, pool };
}

/** Sends a small message with this name in its sender, its recipient and its content. */
export function send(pool: SMTPPool, name = "x", signal?: AbortSignal): Promise<unknown> {
  return pool.sendmail(`${name}@a.test`, `${name}@b.test`, `Subject: ${name}\r\n\r\n${name}\r\n`, [], [], { signal });
}

/** The outcome of a call: "ok", or the error's name, code and delivery. */
export function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "ok",
    (error: Error & { smtp_code?: number; delivery?: string }) =>
      [error.name, error.smtp_code, error.delivery].filter((part) => part !== undefined).join(" "),
  );
}

/** The lines with these verbs that the server received. */
export function said(server: FakeServer, ...verbs: string[]): string[] {
  return server.lines.filter((line) => verbs.includes(line.split(/[ :]/, 1)[0] ?? ""));
}
