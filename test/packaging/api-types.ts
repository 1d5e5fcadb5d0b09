/**
 * The public types, compared with the API's contract by the compiler; tarball.test.ts compiles this file as a user
 * would.
 */
import { expectTypeOf } from "expect-type";
import {
  type AuthObject,
  type Body,
  type ByteStream,
  type CallOptions,
  type ConnectOptions,
  type Delivery,
  type DeliveryRequest,
  type DiagnosticsChannels,
  type Endpoint,
  LMTP,
  LMTP_PORT,
  type Mechanism,
  type Message,
  type Options,
  type PeerInfo,
  type PoolOptions,
  type PoolStats,
  quoteaddr,
  quotedata,
  type RcptOptions,
  type Refused,
  type Reply,
  SMTP,
  SMTP_PORT,
  SMTP_SSL,
  SMTP_SSL_PORT,
  type SMTPAuthenticationError,
  type SMTPConnectError,
  SMTPDataError,
  type SMTPException,
  type SMTPHeloError,
  type SMTPNotSupportedError,
  type SMTPOptions,
  type SMTPPool,
  type SMTPRecipientsRefused,
  type SMTPResponseException,
  SMTPSenderRefused,
  type SMTPServerDisconnected,
  type SMTPTimeoutError,
  type TlsInfo,
  type TlsOptions,
  type Transport,
} from "../../src/index.ts";
import type * as sasl from "../../src/sasl/index.ts";

type Recipients = string | Iterable<string>;

// Connecting.
type Constructing = Parameters<(host?: string, port?: number, options?: SMTPOptions) => void>;
expectTypeOf<ConstructorParameters<typeof SMTP>>().toEqualTypeOf<Constructing>();
expectTypeOf<ConstructorParameters<typeof SMTP_SSL>>().toEqualTypeOf<Constructing>();
expectTypeOf<ConstructorParameters<typeof LMTP>>().toEqualTypeOf<Constructing>();

expectTypeOf(await SMTP.connect("mail.example.com")).toEqualTypeOf<SMTP>();
expectTypeOf(await SMTP.connect("mail.example.com", 587, {})).toEqualTypeOf<SMTP>();
expectTypeOf(await SMTP_SSL.connect("mail.example.com")).toEqualTypeOf<SMTP_SSL>();
expectTypeOf(await LMTP.connect("/run/lmtp")).toEqualTypeOf<LMTP>();
expectTypeOf<SMTP_SSL>().toExtend<SMTP>();
expectTypeOf<LMTP>().toExtend<SMTP>();

// Methods, in the order of the contract.
expectTypeOf<SMTP["connect"]>().toEqualTypeOf<(host?: string, port?: number) => Promise<Reply>>();
expectTypeOf<SMTP["helo"]>().toEqualTypeOf<(name?: string) => Promise<Reply>>();
expectTypeOf<SMTP["ehlo"]>().toEqualTypeOf<(name?: string) => Promise<Reply>>();
expectTypeOf<SMTP["ehlo_or_helo_if_needed"]>().toEqualTypeOf<() => Promise<void>>();
expectTypeOf<SMTP["has_extn"]>().toEqualTypeOf<(name: string) => boolean>();
expectTypeOf<SMTP["mail"]>().toEqualTypeOf<(sender: string, options?: Options) => Promise<Reply>>();
expectTypeOf<SMTP["rcpt"]>().toEqualTypeOf<(recipient: string, options?: Options<RcptOptions>) => Promise<Reply>>();
expectTypeOf<SMTP["data"]>().toEqualTypeOf<(message: Body) => Promise<Reply>>();
expectTypeOf<SMTP["rset"]>().toEqualTypeOf<() => Promise<Reply>>();
expectTypeOf<SMTP["noop"]>().toEqualTypeOf<() => Promise<Reply>>();
expectTypeOf<SMTP["verify"]>().toEqualTypeOf<(address: string) => Promise<Reply>>();
expectTypeOf<SMTP["vrfy"]>().toEqualTypeOf<(address: string) => Promise<Reply>>();
expectTypeOf<SMTP["expn"]>().toEqualTypeOf<(address: string) => Promise<Reply>>();
expectTypeOf<SMTP["help"]>().toEqualTypeOf<(args?: string) => Promise<string>>();
expectTypeOf<SMTP["docmd"]>().toEqualTypeOf<(verb: string, args?: string) => Promise<Reply>>();
expectTypeOf<SMTP["putcmd"]>().toEqualTypeOf<(verb: string, args?: string) => Promise<void>>();
expectTypeOf<SMTP["getreply"]>().toEqualTypeOf<() => Promise<Reply>>();
expectTypeOf<SMTP["send"]>().toEqualTypeOf<(bytes: string | Uint8Array) => Promise<void>>();
expectTypeOf<SMTP["starttls"]>().toEqualTypeOf<(tls?: TlsOptions) => Promise<Reply>>();
expectTypeOf<{ initial_response_ok: boolean; mechanisms: readonly string[] }>().toExtend<
  NonNullable<Parameters<SMTP["login"]>[2]>
>();
expectTypeOf<SMTP["login"]>().returns.toEqualTypeOf<Promise<Reply>>();
expectTypeOf<SMTP["auth"]>().parameter(1).toEqualTypeOf<AuthObject | Mechanism>();
expectTypeOf<SMTP["auth"]>().returns.toEqualTypeOf<Promise<Reply>>();
expectTypeOf<SMTP["sendmail"]>().toEqualTypeOf<
  (
    from_addr: string,
    to_addrs: Recipients,
    msg: Body,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ) => Promise<Refused>
>();
expectTypeOf<SMTP["send_message"]>().toEqualTypeOf<
  (
    msg: Message,
    from_addr?: string,
    to_addrs?: Recipients,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ) => Promise<Refused>
>();
expectTypeOf<SMTP["deliver"]>().toEqualTypeOf<(delivery: DeliveryRequest) => Promise<Delivery>>();
expectTypeOf<SMTP["set_debuglevel"]>().toEqualTypeOf<(level: number | boolean) => void>();
expectTypeOf<SMTP["quit"]>().toEqualTypeOf<() => Promise<Reply>>();
expectTypeOf<SMTP["close"]>().toEqualTypeOf<() => void>();
expectTypeOf<SMTP>().toExtend<AsyncDisposable>();
expectTypeOf<SMTP["auth_plain"]>().toEqualTypeOf<AuthObject>();
expectTypeOf<SMTP["auth_login"]>().toEqualTypeOf<AuthObject>();
expectTypeOf<SMTP["auth_cram_md5"]>().toEqualTypeOf<AuthObject>();

// Attributes.
expectTypeOf<SMTP["does_esmtp"]>().toEqualTypeOf<boolean>();
expectTypeOf<SMTP["esmtp_features"]>().toExtend<Readonly<Record<string, string>>>();
expectTypeOf<SMTP["ehlo_resp"]>().toEqualTypeOf<string | undefined>();
expectTypeOf<SMTP["helo_resp"]>().toEqualTypeOf<string | undefined>();
expectTypeOf<SMTP["local_hostname"]>().toEqualTypeOf<string>();
expectTypeOf<SMTP["timeout"]>().toEqualTypeOf<number | undefined>();
expectTypeOf<SMTP["user"]>().toEqualTypeOf<string | undefined>();
expectTypeOf<SMTP["password"]>().toEqualTypeOf<string | undefined>();
expectTypeOf<SMTP["debuglevel"]>().toEqualTypeOf<number>();
expectTypeOf<SMTP["default_port"]>().toEqualTypeOf<number>();
expectTypeOf<SMTP["connected"]>().toEqualTypeOf<boolean>();

// Arguments and results.
expectTypeOf<Body>().toEqualTypeOf<
  | string
  | Uint8Array
  | Blob
  | Iterable<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>
  | ReadableStream<Uint8Array>
>();
expectTypeOf<string | Uint8Array>().toExtend<Message>();
expectTypeOf<readonly string[]>().toExtend<Options>();
expectTypeOf<{ by: { seconds: number; mode: "notify" }; holdUntil: Date; ret: "HDRS" }>().toExtend<Options>();
expectTypeOf<{ notify: ["FAILURE", "DELAY"]; orcpt: string }>().toExtend<Options<RcptOptions>>();
expectTypeOf<Reply>().toExtend<readonly [code: number, message: string]>();
expectTypeOf<Reply["code"]>().toEqualTypeOf<number>();
expectTypeOf<Reply["message"]>().toEqualTypeOf<string>();
expectTypeOf<Reply["lines"]>().toExtend<readonly string[]>();
expectTypeOf<Reply["enhancedCode"]>().toEqualTypeOf<string | undefined>();
expectTypeOf<Refused>().toExtend<Readonly<Record<string, Reply>>>();
expectTypeOf<Delivery["accepted"]>().toExtend<readonly string[]>();
expectTypeOf<Delivery["refused"]>().toEqualTypeOf<Refused>();
expectTypeOf<Delivery["reply"]>().toEqualTypeOf<Reply>();
expectTypeOf<Delivery["replies"]>().toExtend<readonly Reply[]>();
expectTypeOf<{ from: string; to: string[]; body: Uint8Array; signal: AbortSignal }>().toExtend<DeliveryRequest>();
expectTypeOf<Console>().toExtend<NonNullable<SMTPOptions["logger"]>>();
expectTypeOf<(message: string) => void>().toExtend<NonNullable<SMTPOptions["logger"]>["debug"]>();
expectTypeOf<DiagnosticsChannels["smtplib:delivery:end"]["result"]>().toEqualTypeOf<Delivery>();
expectTypeOf<DiagnosticsChannels["smtplib:delivery:error"]["error"]>().toBeUnknown();
expectTypeOf<{ signal?: AbortSignal | undefined }>().toExtend<CallOptions>();

// Each optional property may be given as undefined.
expectTypeOf<{ [name in keyof Required<SMTPOptions>]: undefined }>().toExtend<SMTPOptions>();
expectTypeOf<{ [name in keyof Required<TlsOptions>]: undefined }>().toExtend<TlsOptions>();
expectTypeOf<{ [name in keyof Required<ConnectOptions>]: undefined }>().toExtend<ConnectOptions>();
expectTypeOf<{ timeouts: { connect: undefined; total: 5 } }>().toExtend<SMTPOptions>();
expectTypeOf<{ limits: { line: undefined } }>().toExtend<SMTPOptions>();

// The byte stream.
expectTypeOf<Transport>().toEqualTypeOf<(endpoint: Endpoint, options: ConnectOptions) => Promise<ByteStream>>();
expectTypeOf<Endpoint>().toEqualTypeOf<{ host: string; port: number } | { path: string }>();
expectTypeOf<ByteStream["read"]>().toEqualTypeOf<() => Promise<Uint8Array | null>>();
expectTypeOf<ByteStream["write"]>().toEqualTypeOf<(data: Uint8Array) => Promise<void> | undefined>();
expectTypeOf<ByteStream["startTls"]>().toEqualTypeOf<(options: TlsOptions & { servername: string }) => Promise<void>>();
expectTypeOf<ByteStream["close"]>().toEqualTypeOf<() => Promise<void>>();
expectTypeOf<ByteStream["abort"]>().toEqualTypeOf<(reason?: unknown) => void>();
expectTypeOf<ByteStream["peer"]>().toEqualTypeOf<PeerInfo>();
expectTypeOf<PeerInfo["tls"]>().toEqualTypeOf<TlsInfo | undefined>();

// Authentication.
expectTypeOf<(challenge?: Uint8Array) => string>().toExtend<AuthObject>();
expectTypeOf<() => Promise<Uint8Array | null>>().toExtend<AuthObject>();
expectTypeOf<ReturnType<Mechanism["start"]>>().toEqualTypeOf<
  Generator<Uint8Array | Promise<Uint8Array>, void, Uint8Array>
>();

type MadeFrom<Credentials> = (credentials: Credentials) => Mechanism;
type Password = { user: string; password: string };
type Token = { user: string; token: string | (() => Promise<string>) };
expectTypeOf<typeof sasl.plain>().toExtend<MadeFrom<Password & { authzid?: string | undefined }>>();
expectTypeOf<typeof sasl.login>().toExtend<MadeFrom<Password>>();
expectTypeOf<typeof sasl.cramMd5>().toExtend<MadeFrom<Password>>();
expectTypeOf<typeof sasl.scramSha1>().toExtend<MadeFrom<Password & { authzid?: string | undefined }>>();
expectTypeOf<typeof sasl.scramSha256>().toEqualTypeOf<typeof sasl.scramSha1>();
expectTypeOf<typeof sasl.scramSha512>().toEqualTypeOf<typeof sasl.scramSha1>();
expectTypeOf<typeof sasl.scramSha1Plus>().toExtend<
  MadeFrom<Password & { channelBinding?: "tls-exporter" | "tls-server-end-point" | undefined }>
>();
expectTypeOf<typeof sasl.scramSha256Plus>().toEqualTypeOf<typeof sasl.scramSha1Plus>();
expectTypeOf<typeof sasl.scramSha512Plus>().toEqualTypeOf<typeof sasl.scramSha1Plus>();
expectTypeOf<typeof sasl.xoauth2>().toExtend<MadeFrom<Token>>();
expectTypeOf<typeof sasl.oauthbearer>().toExtend<MadeFrom<Token>>();
expectTypeOf<typeof sasl.external>().toExtend<MadeFrom<{ authzid?: string | undefined } | undefined>>();
expectTypeOf<typeof sasl.anonymous>().toExtend<MadeFrom<{ trace?: string | undefined } | undefined>>();

// Exceptions.
expectTypeOf<SMTPException>().toExtend<Error>();
expectTypeOf<SMTPException["temporary"]>().toEqualTypeOf<boolean>();
expectTypeOf<SMTPException["delivery"]>().toEqualTypeOf<"not-sent" | "rejected" | "unknown" | undefined>();
expectTypeOf<SMTPServerDisconnected>().toExtend<SMTPException>();
expectTypeOf<SMTPTimeoutError>().toExtend<SMTPServerDisconnected>();
expectTypeOf<SMTPTimeoutError["phase"]>().toEqualTypeOf<keyof NonNullable<SMTPOptions["timeouts"]>>();
expectTypeOf<SMTPNotSupportedError>().toExtend<SMTPException>();
expectTypeOf<SMTPRecipientsRefused["recipients"]>().toEqualTypeOf<Refused>();
expectTypeOf<SMTPRecipientsRefused>().not.toExtend<SMTPResponseException>();
expectTypeOf<SMTPResponseException["smtp_code"]>().toEqualTypeOf<number>();
expectTypeOf<SMTPResponseException["smtp_error"]>().toEqualTypeOf<string>();
expectTypeOf<SMTPResponseException["reply"]>().toEqualTypeOf<Reply | undefined>();
expectTypeOf<SMTPSenderRefused["sender"]>().toEqualTypeOf<string>();
expectTypeOf<SMTPDataError | SMTPConnectError | SMTPHeloError>().toExtend<SMTPResponseException>();
expectTypeOf<SMTPAuthenticationError>().toExtend<SMTPResponseException>();
expectTypeOf<SMTPAuthenticationError["serverError"]>().toEqualTypeOf<Readonly<Record<string, string>> | undefined>();
expectTypeOf(SMTPSenderRefused).toBeConstructibleWith(550, "no", "ada@example.com");
expectTypeOf(SMTPDataError).toBeConstructibleWith(550, "no");

// Functions and constants.
expectTypeOf(quoteaddr).toEqualTypeOf<(address: string) => string>();
expectTypeOf(quotedata).toEqualTypeOf<(data: string) => string>();
expectTypeOf([SMTP_PORT, SMTP_SSL_PORT, LMTP_PORT]).toEqualTypeOf<number[]>();

// The pool has the sending methods of SMTP.
expectTypeOf<ConstructorParameters<typeof SMTPPool>>().toEqualTypeOf<
  [options: PoolOptions] | [url: string, options?: PoolOptions | undefined]
>();
expectTypeOf<Parameters<SMTPPool["sendmail"]>>().toEqualTypeOf<Parameters<SMTP["sendmail"]>>();
expectTypeOf<Parameters<SMTPPool["send_message"]>>().toEqualTypeOf<Parameters<SMTP["send_message"]>>();
expectTypeOf<SMTPPool["deliver"]>().toEqualTypeOf<SMTP["deliver"]>();
expectTypeOf<SMTPPool["sendmail"]>().returns.toEqualTypeOf<Promise<Refused>>();
expectTypeOf<SMTPPool["close"]>().toEqualTypeOf<() => Promise<void>>();
expectTypeOf<SMTPPool["stats"]>().toEqualTypeOf<PoolStats>();
expectTypeOf<SMTPPool>().toExtend<AsyncDisposable>();
expectTypeOf<{ host: string; auth: { user: string; token: () => Promise<string> } }>().toExtend<PoolOptions>();
expectTypeOf<{ host: string; auth: { user: string; password: string } }>().toExtend<PoolOptions>();
