/**
 * Proxies: functions from transport to transport, and nothing that a session without one would load.
 *
 * @module
 */
export { type HttpConnectOptions, httpConnect } from "./http-connect.ts";
export { ProxyError } from "./proxy-error.ts";
export { type SocksOptions, socks } from "./socks.ts";
export type { ProxyAddress } from "./target.ts";
