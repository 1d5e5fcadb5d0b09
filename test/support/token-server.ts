/** An OAuth 2.0 token endpoint on a port (RFC 6749 4.1.3 and 6, RFC 7636): it grants correct requests. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A running token endpoint. */
export type TokenServer = {
  readonly url: string;
  /** The requested grants, with the status of each answer. */
  readonly requests: { grant: string; status: number }[];
  /** Plays the browser, in which the user grants the request of an authorization URL. */
  authorize(url: string): void;
  close(): Promise<void>;
};

/** The client and the codes that the server accepts, and the token that it issues. */
export type TokenSettings = {
  readonly client: { readonly id: string; readonly secret: string };
  readonly code: string;
  readonly refreshToken: string;
  readonly accessToken: string;
};

/** Starts the endpoint on a free port. */
export async function startTokenServer(settings: TokenSettings): Promise<TokenServer> {
  const requests: TokenServer["requests"] = [];
  let challenge: string | undefined;
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    const type = request.headers["content-type"] ?? "";
    const fault = type.startsWith("application/x-www-form-urlencoded")
      ? faultOf(form, settings, challenge)
      : "invalid_request";
    const status = fault === undefined && request.method === "POST" ? 200 : 400;
    requests.push({ grant: form.get("grant_type") ?? "", status });
    response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(JSON.stringify(fault === undefined ? answerTo(form, settings) : { error: fault }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server of TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/token`,
    requests,
    authorize(url) {
      const asked = new URL(url).searchParams;
      if (asked.get("response_type") !== "code" || asked.get("code_challenge_method") !== "S256") return;
      if (asked.get("client_id") === settings.client.id) challenge = asked.get("code_challenge") ?? undefined;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function faultOf(form: URLSearchParams, settings: TokenSettings, challenge: string | undefined): string | undefined {
  const { client, code, refreshToken } = settings;
  if (form.get("client_id") !== client.id || form.get("client_secret") !== client.secret) return "invalid_client";
  switch (form.get("grant_type")) {
    case "refresh_token":
      return form.get("refresh_token") === refreshToken ? undefined : "invalid_grant";
    case "authorization_code": {
      const proof = createHash("sha256")
        .update(form.get("code_verifier") ?? "")
        .digest("base64url");
      return form.get("code") === code && proof === challenge ? undefined : "invalid_grant";
    }
    default:
      return "unsupported_grant_type";
  }
}

function answerTo(form: URLSearchParams, { accessToken, refreshToken }: TokenSettings): object {
  const token = { access_token: accessToken, token_type: "Bearer", expires_in: 3600 };
  return form.get("grant_type") === "authorization_code" ? { ...token, refresh_token: refreshToken } : token;
}
