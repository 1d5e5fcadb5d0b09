/** The contract on Bun's own sockets. */
import { connect } from "../../transports/bun.ts";
import { describeTransport, runningOn } from "./contract.ts";

describeTransport("bun", { transport: connect, available: runningOn("bun") });
