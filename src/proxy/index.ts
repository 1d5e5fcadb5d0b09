/**
 * Proxies: functions from transport to transport, loaded only by programs that use them.
 *
 * @module
 */
export { type HttpConnectOptions, httpConnect } from "./http-connect.ts";
export { ProxyError } from "./proxy-error.ts";
export { type SocksOptions, socks } from "./socks.ts";
export type { ProxyAddress } from "./target.ts";
