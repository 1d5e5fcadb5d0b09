/**
 * The examples for proxies, web streams and Workers, from the packed tarball, on each of their runtimes.
 *
 * @node It starts each runtime itself.
 */
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ScriptedProxyOptions, startScriptedProxy } from "../proxy/scripted-proxy.ts";
import { certificates } from "../support/certificates.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { runtimes } from "../support/runtimes.ts";
import { type Folder, installPackage, run } from "./installed.ts";
import { expectNothingIn, type JudgeReport, judgeReport, putJudgeInto } from "./judged.ts";
import { root } from "./snippets.ts";

describe("the examples for connecting", () => {
  let folder: Folder;
  let judge: JudgeReport;

  beforeAll(async () => {
    folder = await installPackage();
    await putJudgeInto(folder);
    for (const name of ["proxy.mjs", "web-streams.mjs", "worker.mjs"]) {
      await copyFile(join(root, "examples", name), join(folder.path, name));
    }
    await writeFile(join(folder.path, "ca.pem"), (await certificates()).ca);
  }, 60_000);

  afterAll(() => folder.remove());

  beforeEach(async () => {
    judge = await judgeReport();
  });

  it.each(
    runtimes.flatMap((runtime) =>
      ["socks5h", "socks4a", "http", "https"].map((scheme) => ({
        ...runtime,
        scheme,
        by: `${scheme} on ${runtime.name}`,
      })),
    ),
  )("sends mail by $by", async ({ command, scheme }) => {
    const { good } = await certificates();
    const account = { user: "ada", password: "p@ss word" };
    const kinds: Record<string, ScriptedProxyOptions> = {
      socks5h: { kind: "SOCKS5", ...account },
      socks4a: { kind: "SOCKS4a" },
      http: { kind: "HTTP", ...account },
      https: { kind: "HTTP", ...account, tls: good },
    };
    await using server = await startEmbeddedServer();
    const proxy = await startScriptedProxy(kinds[scheme] ?? { kind: "HTTP" });
    const outcome = await run(folder.path, [...command, "proxy.mjs", "localhost", String(server.port)], {
      ALL_PROXY: `${scheme}://ada:${encodeURIComponent(account.password)}@localhost:${proxy.port}`,
      NODE_EXTRA_CA_CERTS: join(folder.path, "ca.pem"),
      DENO_NO_UPDATE_CHECK: "1",
      ...judge.env,
    });
    await judge.expectNothing({});
    expect(outcome).toEqual({ status: 0, output: expect.stringMatching(/^encrypted: .*queued as 1\n$/) });
    expect(server.messages).toMatchObject([{ from: "ada@example.com", secure: true }]);
    expect(proxy.targets).toEqual([`localhost:${server.port}`]);
  });

  it.each(runtimes)("send mail by web streams on $name", async ({ command }) => {
    await using server = await startEmbeddedServer();
    const outcome = await run(folder.path, [...command, "web-streams.mjs", "localhost", String(server.port)], {
      MAIL_CA: server.ca,
      DENO_NO_UPDATE_CHECK: "1",
      ...judge.env,
    });
    await judge.expectNothing({});
    expect(outcome).toEqual({ status: 0, output: expect.stringMatching(/^encrypted: .*queued as 1\n$/) });
  });

  it("send mail from a Worker", async () => {
    await using server = await startEmbeddedServer();
    process.env["NODE_EXTRA_CA_CERTS"] = join(folder.path, "ca.pem");
    const { Miniflare } = await import("miniflare");
    // Another path of the Worker returns the report of its judge.
    const entry = join(folder.path, "judged-worker.mjs");
    await writeFile(
      entry,
      `import worker from "./worker.mjs";
      import { lines } from "./node_modules/smtplib/dist/judge.js";
      export default {
        fetch: (request, ...rest) =>
          request.url.endsWith("/judge") ? Response.json(lines) : worker.fetch(request, ...rest),
      };`,
    );
    const built = await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: "esm",
    });
    const contents = built.outputFiles[0]?.text ?? "";
    const worker = new Miniflare({
      modules: [{ type: "ESModule", path: "worker.mjs", contents }],
      compatibilityDate: "2025-07-01",
      bindings: { MAIL_HOST: "localhost", MAIL_PORT: server.port },
    });
    try {
      const answer = await worker.dispatchFetch("http://worker/", { method: "POST", body: "Hello from a form" });
      expect([answer.status, await answer.text()]).toEqual([202, "Thank you!"]);
      expect(new TextDecoder().decode(server.messages[0]?.content)).toContain("Hello from a form");
      const said = await (await worker.dispatchFetch("http://worker/judge")).json();
      // A Worker has no diagnostics channels that would report the outcome of the message.
      expectNothingIn(Array.isArray(said) ? said.map(String) : [], { reports: 0 });
    } finally {
      await worker.dispose();
      delete process.env["NODE_EXTRA_CA_CERTS"];
    }
  });
});
