/** Sessions that a server could resume under options that did not verify it: known attacks. */
import { describe, expect, it } from "vitest";
import { TlsError, type TlsOptions, type Transport } from "../../src/index.ts";
import { connect as connectByBun } from "../../transports/bun.ts";
import { connect as connectByDeno } from "../../transports/deno.ts";
import { connect as connectByNode } from "../../transports/node.ts";
import attacks from "../hostile/attacks/tls.json";
import { type Certificates, certificates, fingerprint256, type Pair } from "../support/certificates.ts";
import { bridged } from "./bridged.ts";
import { open, readText, reasonOf } from "./bytes.ts";
import { runningOn } from "./contract.ts";
import { serveTls } from "./servers.ts";

const made: Certificates = await certificates();

const TRANSPORTS: readonly [name: string, transport: Transport, available: boolean][] = [
  ["node", connectByNode, true],
  ["deno", connectByDeno, runningOn("deno")],
  ["bun", connectByBun, runningOn("bun")],
  ["memory", bridged({}), true],
];

describe.each(TRANSPORTS.filter(([, , available]) => available))(
  "[tls: resumption] by the transport %s",
  (_, transport) => {
    const trusted = { servername: "localhost", ca: made.ca };

    it.each(attacks.resumptions)("a session is not resumed under $name", async ({ options, failure }) => {
      const { endpoint } = await serveTls(made.good, (socket) => void socket.write("hello"));
      for (let time = 0; time < 2; time++) {
        const stream = await open(transport, endpoint);
        await stream.startTls(trusted);
        // The server sends tickets before it.
        expect(await readText(stream, 5)).toBe("hello");
        await stream.close();
      }
      const stream = await open(transport, endpoint);
      const reason = await reasonOf(stream.startTls({ ...trusted, ...meant(options) }));
      expect(reason).toBeInstanceOf(TlsError);
      expect(reason).toMatchObject({ failure });
    });

    it("a session that is resumed is the verified server's, whatever certificate it has now", async () => {
      const ticketKeys = Buffer.alloc(48, 7);
      const before = await serveTls({ ...made.good, ticketKeys }, (socket) => void socket.write("hello"));
      const after = await serveTls({ ...made.wrongName, ticketKeys }, (socket) => void socket.write("hello"));
      const first = await open(transport, before.endpoint);
      await first.startTls(trusted);
      await readText(first, 5);
      await first.close();
      const second = await open(transport, after.endpoint);
      const reason = await second.startTls(trusted).catch((error: unknown) => error);
      if (reason instanceof TlsError) expect(reason.failure).toBe("name");
      else expect(second.peer.tls).toMatchObject({ verified: true, fingerprint256: fingerprint256(made.good.cert) });
      second.abort();
    });
  },
);

/** The options of the data file, in which certificates have names. */
function meant(options: { servername?: string; ca?: string; fingerprint256?: string }): Omit<
  TlsOptions,
  "servername"
> & {
  servername?: string;
} {
  const { servername, ca, fingerprint256: pin } = options;
  return {
    ...(servername === undefined ? {} : { servername }),
    ...(ca === "otherCa" ? { ca: made.otherCa } : {}),
    ...(pin === undefined ? {} : { fingerprint256: fingerprint256(pairNamed(pin).cert) }),
  };
}

function pairNamed(name: string): Pair {
  const pair = Object.entries(made).find(([other]) => other === name)?.[1];
  if (pair === undefined || typeof pair === "string") throw new Error(`no certificate: ${name}`);
  return pair;
}
