/**
 * The ceiling of bare sockets in a runtime: three protocol engines without timeouts, checks of arguments or error
 * handling. Any failure ends the process, and the run does not count.
 */
import { ALL_MODES, ALL_RUNTIMES } from "../index.mjs";
import { BdatConnection } from "./bdat.mjs";
import { LockstepConnection } from "./lockstep.mjs";
import { PipelinedConnection } from "./pipelined.mjs";

const PROTOCOLS = { lockstep: LockstepConnection, pipelined: PipelinedConnection, bdat: BdatConnection };

/** A subject with one of the three engines. */
export function rawSubject(protocol) {
  return {
    name: `raw-${protocol}`,
    chunking: protocol === "bdat",
    runtimes: ALL_RUNTIMES,
    modes: ALL_MODES,
    prepare: (bytes) => bytes,
    async open(target) {
      const open = () => new PROTOCOLS[protocol]().connect(target);
      const connections = await Promise.all(Array.from({ length: target.connections }, open));
      let turn = 0;
      return {
        send: (from, to, message) => connections[turn++ % connections.length].send(from, to, message),
        sendStream: (from, to, chunks) => connections[0].sendStream(from, to, chunks()),
        close: () => Promise.all(connections.map((connection) => connection.quit())),
      };
    },
  };
}
