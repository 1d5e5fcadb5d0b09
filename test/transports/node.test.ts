/** The contract on `node:net` and `node:tls`: Node's own transport, and the alternative on Deno and Bun. */
import { connect } from "../../transports/node.ts";
import { describeTransport, gapsOfNodeTls } from "./contract.ts";

describeTransport("node", { transport: connect, available: true, gaps: gapsOfNodeTls() });
