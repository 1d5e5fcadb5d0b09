/** A transport that connects as the client's own does, and records the addresses and the time of each step. */
import { connectToAny, interleaved } from "../../../transports/happy-eyeballs.ts";
import { connect as connectByNode } from "../../../transports/node.ts";
import { addressesOf } from "../../../transports/resolve.ts";
import type { ByteStream, ConnectOptions, Endpoint, Transport } from "../../index.ts";
import type { AddressReport } from "./report.ts";
import type { Steps } from "./steps.ts";

/**
 * Node's transport on each runtime: no other one shows the chain of an untrusted certificate.
 * @param onAddresses - receives the state of the addresses each time it changes
 */
export function racingTransport(steps: Steps, onAddresses: (addresses: readonly AddressReport[]) => void): Transport {
  return async (endpoint, options) => {
    if ("path" in endpoint) return timed(await steps.measure("connect", () => connectByNode(endpoint, options)), steps);
    const race = new AddressRace(endpoint, options, onAddresses);
    await steps.measure("lookup", () => race.resolve());
    return timed(await steps.measure("connect", () => race.run()), steps);
  };
}

/** The same through a proxy, which resolves the name. */
export function timedTransport(steps: Steps, through: Transport): Transport {
  return async (endpoint, options) => timed(await steps.measure("connect", () => through(endpoint, options)), steps);
}

function timed(stream: ByteStream, steps: Steps): ByteStream {
  const { startTls } = stream;
  stream.startTls = (options) => steps.measure("TLS handshake", () => startTls.call(stream, options));
  return stream;
}

/** One connection to a host that may have several addresses. */
class AddressRace {
  readonly #endpoint: Exclude<Endpoint, { path: string }>;
  readonly #options: ConnectOptions;
  readonly #onAddresses: (addresses: readonly AddressReport[]) => void;
  readonly #reports = new Map<string, AddressReport>();

  constructor(
    endpoint: Exclude<Endpoint, { path: string }>,
    options: ConnectOptions,
    onAddresses: (addresses: readonly AddressReport[]) => void,
  ) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#onAddresses = onAddresses;
  }

  async resolve(): Promise<void> {
    const [source = ""] = this.#options.sourceAddress ?? [];
    const family = source === "" ? 0 : source.includes(":") ? 6 : 4;
    const found = await addressesOf(this.#endpoint.host, family, this.#options.signal);
    for (const { address } of interleaved(found)) this.#note({ address, outcome: "not-tried" });
  }

  run(): Promise<ByteStream> {
    const addresses = [...this.#reports.keys()].map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    return connectToAny(addresses, ({ address }) => this.#begin(address), this.#options.signal);
  }

  #begin(address: string): { connected: Promise<ByteStream>; cancel: () => void } {
    const giveUp = new AbortController();
    const begun = performance.now();
    const since = (): number => performance.now() - begun;
    this.#note({ address, outcome: "given-up" });
    const { port } = this.#endpoint;
    const connected = connectByNode({ host: address, port }, { ...this.#options, signal: giveUp.signal }).then(
      (stream) => {
        this.#note({ address, outcome: "answered", milliseconds: since() });
        return stream;
      },
      (error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        if (!giveUp.signal.aborted) this.#note({ address, outcome: "failed", milliseconds: since(), error: text });
        throw error;
      },
    );
    return {
      connected,
      cancel: () => {
        giveUp.abort(new Error("another address has answered"));
        connected.then((stream) => stream.abort()).catch(() => {});
      },
    };
  }

  #note(report: AddressReport): void {
    this.#reports.set(report.address, report);
    this.#onAddresses([...this.#reports.values()]);
  }
}
