/** The state that the stages of a probe share: the client, the report so far, and the times. */
import type { SMTP, Transport } from "../../index.ts";
import { recordTranscript } from "../../testing/index.ts";
import { type Connection, clientFor, smtpOptions } from "../connection.ts";
import type { Credentials } from "../credentials.ts";
import { shownTarget } from "../target.ts";
import type { Failure } from "./explain.ts";
import { racingTransport, timedTransport } from "./racing-transport.ts";
import type { Draft, Finding } from "./report.ts";
import { Steps } from "./steps.ts";

/** The settings of a probe. */
export type ProbeSettings = {
  readonly connection: Connection;
  /** Logs in, once the server is trusted. */
  readonly credentials?: Credentials | undefined;
  readonly allowInsecureAuth?: boolean;
  /** Stands between the client and the transport, for a trace. */
  readonly observe: (transport: Transport) => Transport;
  readonly signal: AbortSignal;
};

/** Seconds that a step may take. */
const TIMEOUT = 30;

/** One session of a probe. */
export class ProbeSession {
  readonly settings: ProbeSettings;
  readonly steps: Steps = new Steps();
  readonly findings: Finding[] = [];
  readonly report: Draft;
  readonly smtp: SMTP;
  /** Seconds that a step may take. */
  readonly timeout: number;
  /** The first line that the server has sent. */
  firstLine: string | undefined;
  /** The mechanism of the last AUTH. */
  mechanism: string | undefined;
  #step = "connect";

  constructor(settings: ProbeSettings) {
    const { connection, allowInsecureAuth = false, signal } = settings;
    const { protocol, endpoint, tls } = connection;
    this.settings = settings;
    this.timeout = connection.timeout ?? TIMEOUT;
    const server = shownTarget(protocol, endpoint, tls === "implicit");
    const nothing = { addresses: [], offers: [], mechanisms: [], steps: [], findings: [] };
    this.report = { version: 1, server, protocol, ...nothing, demands: {} };
    const { timeout } = this;
    const asked = { ...smtpOptions(connection), context: this.context, transport: this.#transport() };
    this.smtp = clientFor(connection, { ...asked, timeout, allowInsecureAuth, signal });
  }

  /** Without verification: the certificate is judged here, so that a wrong one does not end the session. */
  get context(): Connection["context"] {
    const { fingerprint256: _, ...context } = this.settings.connection.context;
    return { ...context, rejectUnauthorized: false };
  }

  /** The name that the certificate must bear. */
  get name(): string {
    const { context, endpoint } = this.settings.connection;
    return context.servername ?? ("path" in endpoint ? "localhost" : endpoint.host);
  }

  /** The report as it stands. */
  get draft(): Draft {
    return { ...this.report, steps: this.steps.reports, findings: this.findings };
  }

  /** Measures a step. */
  say<T>(step: string, task: () => Promise<T>): Promise<T> {
    this.#step = step;
    return this.steps.measure(step, task);
  }

  /** Measures a step that has steps in it, which do not count. */
  async sayAround<T>(step: string, task: () => Promise<T>): Promise<T> {
    this.#step = step;
    const { count } = this.steps;
    const begun = performance.now();
    const result = await task();
    this.steps.add(step, performance.now() - begun - this.steps.since(count));
    return result;
  }

  /** The details of a failure, for its explanation. */
  failure(error: unknown, tls?: Failure["tls"]): Failure {
    const { endpoint, tls: mode, transport } = this.settings.connection;
    return {
      error,
      step: this.#step,
      port: "path" in endpoint ? undefined : endpoint.port,
      tls: tls ?? (mode === "implicit" ? "implicit" : "none"),
      hasAddresses: this.report.addresses.length > 0 || transport !== undefined || "path" in endpoint,
      firstLine: this.firstLine,
    };
  }

  #transport(): Transport {
    const { connection, observe } = this.settings;
    const timed =
      connection.transport === undefined
        ? racingTransport(this.steps, (addresses) => {
            this.report.addresses = addresses;
          })
        : timedTransport(this.steps, connection.transport);
    const onLine = (line: string): void => {
      if (line.startsWith("S")) this.firstLine ??= line.slice(3);
      this.mechanism = /^C: AUTH (\S+)/.exec(line)?.[1] ?? this.mechanism;
    };
    return recordTranscript(observe(timed), { onLine, maxContent: 0 }).transport;
  }
}
