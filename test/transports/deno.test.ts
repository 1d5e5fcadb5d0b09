/** The contract on Deno's own sockets. */
import { connect } from "../../transports/deno.ts";
import { describeTransport, runningOn } from "./contract.ts";

describeTransport("deno", { transport: connect, available: runningOn("deno") });
