/** The package for the snippets: all hosts lead to the mail server of the test. */
import type { Endpoint, Transport } from "../../src/byte-stream.ts";
import * as smtplib from "../../src/index.ts";
import { defaultTransport } from "../../src/runtime.ts";
import type { EmbeddedServer } from "../support/embedded-server.ts";

/** The server of each class. */
export type Servers = { SMTP: EmbeddedServer; SMTP_SSL: EmbeddedServer; LMTP: EmbeddedServer };

/** The exports of the package, with classes that connect to `servers`; adds their instances to `opened`. */
export function redirected(servers: Servers, opened: { close(): unknown }[]): typeof smtplib {
  class SMTP extends smtplib.SMTP {
    constructor(host?: string, port?: number, options?: smtplib.SMTPOptions) {
      super(host, port, redirectedOptions(servers.SMTP, options));
      opened.push(this);
    }
  }
  class SMTP_SSL extends smtplib.SMTP_SSL {
    constructor(host?: string, port?: number, options?: smtplib.SMTPOptions) {
      super(host, port, redirectedOptions(servers.SMTP_SSL, options));
      opened.push(this);
    }
  }
  class LMTP extends smtplib.LMTP {
    constructor(host?: string, port?: number, options?: smtplib.SMTPOptions) {
      super(host, port, redirectedOptions(servers.LMTP, options));
      opened.push(this);
    }
  }
  class SMTPPool extends smtplib.SMTPPool {
    constructor(where: string | smtplib.PoolOptions, options?: smtplib.PoolOptions) {
      const given = typeof where === "string" ? options : { ...where, ...options };
      const here = { ...given, ...redirectedOptions(servers.SMTP, given) };
      if (typeof where === "string") super(where, here);
      else super(here);
      opened.push(this);
    }
  }
  return { ...smtplib, SMTP, SMTP_SSL, LMTP, SMTPPool };
}

/** Options by which a connection reaches the server, whatever its host. */
export function redirectedOptions(server: EmbeddedServer, options: smtplib.SMTPOptions = {}): smtplib.SMTPOptions {
  const endpoint: Endpoint = { host: server.host, port: server.port };
  const transport: Transport = async (_, connecting) => {
    const connect = options.transport ?? (await defaultTransport({ endpoint, options: connecting }));
    return connect(endpoint, connecting);
  };
  return { ...options, transport, context: { ca: server.ca, servername: "localhost", ...options.context } };
}
