/** Adds `startTls` to an unencrypted stream; `layer.ts` is loaded with the first call. */
import type { ByteStream, PeerInfo, TlsOptions } from "../../src/byte-stream.ts";
import type { Failure } from "../util.ts";

/** A stream that TLS can run over. */
export type PlainStream = Omit<ByteStream, "startTls">;

/**
 * Adds `startTls` to a stream, which then runs TLS over it.
 *
 * `unread` is the number of bytes received and not read, if the stream knows it.
 */
export function upgradable(plain: PlainStream & { readonly unread?: number }): ByteStream {
  return new UpgradableStream(plain);
}

class UpgradableStream implements ByteStream {
  readonly #plain: PlainStream & { readonly unread?: number };
  #current: PlainStream;
  #reading = false;
  #state: "clear" | "handshake" | "secure" = "clear";
  #dropped: Failure | undefined;

  constructor(plain: PlainStream & { readonly unread?: number }) {
    this.#plain = plain;
    this.#current = plain;
  }

  get peer(): PeerInfo {
    return this.#current.peer;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#state === "secure") return this.#current.read();
    if (this.#dropped !== undefined) return Promise.reject(this.#dropped.reason);
    if (this.#state === "handshake") return Promise.reject(new Error("the TLS handshake is under way"));
    if (this.#reading) return Promise.reject(new Error("a read is already pending"));
    this.#reading = true;
    return this.#plain.read().finally(() => {
      this.#reading = false;
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#state === "secure") return this.#current.write(data);
    if (this.#dropped !== undefined) return Promise.reject(this.#dropped.reason);
    if (this.#state === "handshake") return Promise.reject(new Error("the TLS handshake is under way"));
    return this.#plain.write(data);
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      this.#throwIfDropped();
      if (this.#state !== "clear") throw new Error("the stream speaks TLS already");
      if (this.#reading) throw new Error("a read is pending");
      if ((this.#plain.unread ?? 0) > 0) throw new Error("bytes in clear are unread");
      this.#state = "handshake";
      // Bytes that arrive meanwhile stay in `#plain`, since nothing reads it: TLS verifies them.
      const { layerTls } = await import("./layer.ts");
      this.#throwIfDropped();
      this.#current = await layerTls(this.#plain, options);
      this.#throwIfDropped();
      this.#state = "secure";
    } catch (error) {
      this.abort(error);
      throw this.#dropped?.reason ?? error;
    }
  }

  close(): Promise<void> {
    if (this.#state === "handshake") this.abort(new Error("closed during the TLS handshake"));
    return this.#current.close();
  }

  abort(reason: unknown = new Error("the connection was aborted")): void {
    this.#dropped ??= { reason };
    this.#current.abort(reason);
  }

  ref(): void {
    this.#current.ref?.();
  }

  unref(): void {
    this.#current.unref?.();
  }

  #throwIfDropped(): void {
    if (this.#dropped !== undefined) throw this.#dropped.reason;
  }
}
