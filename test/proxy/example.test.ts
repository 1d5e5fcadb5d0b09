/** The example for proxies, from the packed tarball, on each runtime. */
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Folder, installPackage, run } from "../packaging/installed.ts";
import { onNode, runtimes } from "../packaging/runtimes.ts";
import { root } from "../packaging/snippets.ts";
import { certificates } from "../support/certificates.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { type ScriptedProxyOptions, startScriptedProxy } from "./scripted-proxy.ts";

describe.runIf(onNode)("examples/proxy.mjs", () => {
  let folder: Folder;

  beforeAll(async () => {
    folder = await installPackage();
    await copyFile(join(root, "examples/proxy.mjs"), join(folder.path, "proxy.mjs"));
    await writeFile(join(folder.path, "ca.pem"), (await certificates()).ca);
  }, 60_000);

  afterAll(() => folder.remove());

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
    });
    expect(outcome).toEqual({ status: 0, output: expect.stringMatching(/^encrypted: .*queued as 1\n$/) });
    expect(server.messages).toMatchObject([{ from: "ada@example.com", secure: true }]);
    expect(proxy.targets).toEqual([`localhost:${server.port}`]);
  });
});
