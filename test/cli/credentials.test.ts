/** Credentials appear nowhere, whatever their source and whatever the server answers. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import net from "node:net";
import { describe, expect, it } from "vitest";
import { startScriptedProxy } from "../proxy/scripted-proxy.ts";
import { cli, fileOf, type Ran, serve } from "./cli.ts";
import { closedPort, echoing } from "./planted.ts";

const SECRET = "s3cret-w0rd/of ada";
const envelope = ["--from", "ada@example.com", "--to", "charles@example.net"];

/** All forms of the secret that must not appear. */
const forms = [
  SECRET,
  "s3cret",
  encodeURIComponent(SECRET),
  ...[SECRET, `\0ada\0${SECRET}`, `user=ada\x01auth=Bearer ${SECRET}\x01\x01`].map((text) => btoa(text)),
];

/** Expects that neither the output nor the files contain the secret. */
function expectNoSecret({ stdout, stderr }: Ran, ...files: readonly string[]): void {
  for (const form of forms) for (const text of [stdout, stderr, ...files]) expect(text).not.toContain(form);
}

describe("a secret that the server repeats", () => {
  const env = { SMTP_PASSWORD: SECRET, PATH: process.env["PATH"] ?? "", TOKEN: "s3cret-token.of~ada" };
  const password = ["--user", "ada"];
  const token = ["--user", "ada", "--token-command", 'echo "$TOKEN"'];

  it.each([
    ["PLAIN", password],
    ["LOGIN", password],
    ["XOAUTH2", token],
    ["OAUTHBEARER", token],
  ])("shows nowhere: %s", async (mechanism, args) => {
    const where = `localhost:${await echoing()}`;
    const [sent, probed] = [await fileOf("", "send.html"), await fileOf("", "probe.html")];
    const login = [...args, "--auth", mechanism, "--starttls", "never", "--trace"];
    const sending = await cli(
      ["send", "--test", ...envelope, "--server", where, ...login, "--json", "--trace-html", sent],
      {
        env,
      },
    );
    expect(sending.code).toBe(77);
    expect(sending.stderr).toMatch(/S: 535 5\.7\.8 no: .*\*\*\*/);
    expectNoSecret(sending, await readFile(sent, "utf8"));
    const probing = await cli(["probe", where, ...login, "--json", "--html", probed], { env });
    expect(probing.code).toBe(77);
    expectNoSecret(probing, await readFile(probed, "utf8"));
    expectNoSecret(await cli(["send", "--server", where, ...login, "--stop-after", "auth"], { env }));
    expectNoSecret(await cli(["send", "--test", ...envelope, "--server", where, ...login, "--dry-run"], { env }));
  });
});

describe("a secret in an argument", () => {
  const encoded = encodeURIComponent(SECRET);

  it.each<[argument: string, args: (port: number) => readonly string[]]>([
    ["HOST", (port) => ["probe", `smtp://ada:${encoded}@localhost:${port}`]],
    ["--password", (port) => ["probe", `localhost:${port}`, "--user", "ada", "--password", SECRET]],
    ["--proxy", (port) => ["probe", "localhost", "--proxy", `socks5h://ada:${encoded}@localhost:${port}`]],
    ["--proxy", (port) => ["probe", "localhost", "--proxy", `http://ada:${encoded}@localhost:${port}`]],
    ["--server", (port) => ["send", "--test", ...envelope, "--server", `smtp://ada:${encoded}@localhost:${port}`]],
    [
      "--proxy",
      (port) => ["send", "--test", ...envelope, "--server=a.test", `--proxy=http://ada:${encoded}@localhost:${port}`],
    ],
  ])("is warned of, and shows nowhere: %s", async (argument, args) => {
    const ran = await cli([...args(await closedPort()), "--json", "--trace"]);
    expect(ran.stderr).toMatch(new RegExp(`^warning: the password is in ${argument}: `));
    expect(ran.stderr.match(/^warning/gm)).toHaveLength(1);
    expectNoSecret(ran);
  });

  it("is no cause for a warning in the environment", async () => {
    const env = { SMTP_URL: `smtp://ada:${encoded}@localhost:${await closedPort()}` };
    const ran = await cli(["send", "--test", ...envelope], { env });
    expect(ran.stderr).not.toContain("warning");
    expectNoSecret(ran);
  });

  it("shows nowhere where the proxy refuses it", async () => {
    const proxy = await startScriptedProxy({ kind: "HTTP", user: "ada", password: "another" });
    const url = `http://ada:${encoded}@127.0.0.1:${proxy.port}`;
    const ran = await cli(["probe", "localhost:25", "--proxy", url, "--json", "--trace"]);
    expect(JSON.parse(ran.stdout)).toMatchObject({ findings: [{ code: "proxy-failed" }], exitCode: 69 });
    expectNoSecret(ran);
  });
});

describe("--token-command", () => {
  it.each([
    ["fails", "exit 3", /exit code 3/],
    ["is killed", "kill -KILL $$", /it was ended by SIGKILL/],
    ["prints nothing", "true", /printed no token/],
  ])("shows neither itself nor what it prints where it %s", async (_, end, says) => {
    const { port } = await serve("--auth", "any");
    const args = ["--user", "ada", "--token-command", `client=s3cret; echo $client >&2; ${end}`];
    const ran = await cli([
      "send",
      "--test",
      ...envelope,
      "--server",
      `localhost:${port}`,
      "--starttls",
      "never",
      ...args,
    ]);
    expect(ran).toMatchObject({ code: 77, stderr: expect.stringMatching(says) });
    expectNoSecret(ran);
  });
});

describe("serve --trace", () => {
  const [user, password] = [btoa("ada"), btoa(SECRET)];

  it.each([
    ["says all at once", [`AUTH LOGIN\r\n${user}\r\n${password}\r\n`]],
    ["goes on after a refusal", ["AUTH LOGIN\r\n", `${user}\r\n`, `${password}\r\n`]],
    ["names a mechanism that is not offered", [`AUTH X-OWN ${password}\r\n`]],
    ["separates words by more than a space", [`auth  PLAIN   ${btoa(`\0ada\0${SECRET}`)}\r\n`]],
    ["begins with a space", [` AUTH PLAIN ${btoa(`\0ada\0${SECRET}`)}\r\n`]],
  ])("shows no secret of a client that %s", async (_, pieces) => {
    for (const auth of [[], ["--auth", "bob:x"]]) {
      const server = await serve("--trace", "--html", await fileOf("", "page.html"), ...auth);
      const socket = net.connect(server.port, "127.0.0.1");
      socket.setEncoding("utf8");
      for (const piece of ["EHLO me\r\n", ...pieces, "QUIT\r\n"]) {
        await once(socket, "data");
        socket.write(piece);
      }
      socket.resume();
      await once(socket, "close");
      const ran = await server.stop();
      expect(ran.stderr).toContain("***");
      expectNoSecret({ ...ran, stderr: ran.stderr.replaceAll(/^warning.*$/gm, "") });
    }
  });
});
