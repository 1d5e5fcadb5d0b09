/** SASL mechanisms, and whether they reveal a password. */

/** The description of a mechanism. */
export type MechanismRow = {
  readonly rfc: string;
  readonly meaning: string;
  /** Whether it reveals the password or token to the server and to anyone who reads the connection. */
  readonly showsSecret: boolean;
  /** Whether this client supports it. */
  readonly supported: boolean;
  /** The kind of credentials that it uses. */
  readonly by: "password" | "token" | "certificate" | "nothing" | "ticket";
};

const scram = (hash: string, bound: boolean, rfc: string): MechanismRow => ({
  rfc,
  meaning: `proves the password by ${hash} without revealing it${bound ? ", and rules out a man in the middle" : ""}`,
  showsSecret: false,
  supported: true,
  by: "password",
});

/** By name: the strongest first, in the order in which `login()` tries them. */
export const MECHANISMS: Readonly<Record<string, MechanismRow>> = {
  "SCRAM-SHA-512-PLUS": scram("SHA-512", true, "RFC 5802"),
  "SCRAM-SHA-512": scram("SHA-512", false, "RFC 5802"),
  "SCRAM-SHA-256-PLUS": scram("SHA-256", true, "RFC 7677"),
  "SCRAM-SHA-256": scram("SHA-256", false, "RFC 7677"),
  "SCRAM-SHA-1-PLUS": scram("SHA-1", true, "RFC 5802"),
  "SCRAM-SHA-1": scram("SHA-1", false, "RFC 5802"),
  "CRAM-MD5": {
    rfc: "RFC 2195",
    meaning: "proves the password by MD5; an eavesdropper can guess at it",
    showsSecret: false,
    supported: true,
    by: "password",
  },
  PLAIN: { rfc: "RFC 4616", meaning: "sends the password", showsSecret: true, supported: true, by: "password" },
  LOGIN: {
    rfc: "",
    meaning: "sends the password, asked for in two steps",
    showsSecret: true,
    supported: true,
    by: "password",
  },
  OAUTHBEARER: {
    rfc: "RFC 7628",
    meaning: "sends an OAuth 2.0 token",
    showsSecret: true,
    supported: true,
    by: "token",
  },
  XOAUTH2: {
    rfc: "",
    meaning: "sends an OAuth 2.0 token, Google's way",
    showsSecret: true,
    supported: true,
    by: "token",
  },
  EXTERNAL: {
    rfc: "RFC 4422",
    meaning: "the client's certificate says who it is",
    showsSecret: false,
    supported: true,
    by: "certificate",
  },
  ANONYMOUS: { rfc: "RFC 4505", meaning: "nobody in particular", showsSecret: false, supported: true, by: "nothing" },
  "DIGEST-MD5": {
    rfc: "RFC 6331",
    meaning: "obsolete",
    showsSecret: false,
    supported: false,
    by: "password",
  },
  GSSAPI: { rfc: "RFC 4752", meaning: "a Kerberos ticket", showsSecret: false, supported: false, by: "ticket" },
  "GSS-SPNEGO": {
    rfc: "RFC 4559",
    meaning: "a ticket, negotiated",
    showsSecret: false,
    supported: false,
    by: "ticket",
  },
  NTLM: { rfc: "", meaning: "Microsoft's, obsolete", showsSecret: false, supported: false, by: "password" },
};
