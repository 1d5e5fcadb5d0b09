/** Ctrl-C: each message is reported with its true outcome, and nothing continues. */
import { describe, expect, it } from "vitest";
import { cli, fileOf, type Ran, type Serving, serve } from "./cli.ts";
import { saying } from "./planted.ts";

const envelope = ["--from", "ada@example.com", "--to", "charles@example.net"];

/** Runs `send` with a trace, and stops it as soon as a line of the trace matches for the nth time. */
function stoppedAt(line: RegExp, nth: number, args: readonly string[]): Promise<Ran> {
  const stopping = new AbortController();
  let seen = 0;
  return cli(["send", "--test", ...envelope, "--trace", ...args], {
    signal: stopping.signal,
    onError: (text) => {
      if (line.test(text)) seen += 1;
      // The trace has a reply before the client has read it.
      if (seen === nth) setImmediate(() => stopping.abort(new Error("stopped by SIGINT")));
    },
  });
}

async function stalling(script: object): Promise<Serving> {
  return serve("--script", await fileOf(JSON.stringify(script)));
}

describe("send that is stopped", () => {
  it("says that the fate of a message is unknown once all of it was sent", async () => {
    const { port } = await stalling({ once: { message: { end: "stall" } } });
    const { code, stderr } = await stoppedAt(/C: \.$/m, 1, ["--server", `localhost:${port}`]);
    expect(code).toBe(79);
    expect(stderr).toMatch(/^unknown: .*: it may have been delivered/m);
  });

  it.each([
    ["the greeting", { once: { connect: { end: "stall" } } }, /CONNECT/],
    ["the reply to MAIL", { once: { mail: { end: "stall" } } }, /C: MAIL/],
    ["the reply to DATA", { once: { data: { end: "stall" } } }, /C: DATA/],
  ])("says that nothing was sent while it waits for %s", async (_, script, line) => {
    const server = await stalling(script);
    const { code, stderr } = await stoppedAt(line, 1, ["--server", `localhost:${server.port}`, "--pipelining", "off"]);
    expect({ code, messages: server.messages }).toEqual({ code: 75, messages: [] });
    expect(stderr).toMatch(/^not-sent: stopped by SIGINT$/m);
  });

  it("counts what became of many, those it did not come to among them", async () => {
    const taken = { reply: "250 2.0.0 taken", times: 2 };
    const { port } = await stalling({ once: { message: [taken, { end: "stall" }] } });
    const args = ["--server", `localhost:${port}`, "--repeat", "50", "--pipelining", "off"];
    const { code, stdout, stderr } = await stoppedAt(/C: \.$/m, 3, args);
    expect({ code, stdout }).toEqual({ code: 79, stdout: "2 accepted\n" });
    expect(stderr).toMatch(/^1 unknown: /m);
    expect(stderr).toMatch(/^47 not-sent: stopped by SIGINT$/m);
  });

  it("does not wait for the time of --rate", async () => {
    const { port } = await serve();
    const args = ["--server", `localhost:${port}`, "--repeat", "3", "--rate", "1/3600"];
    const { code, stderr } = await stoppedAt(/S: 250 2\.0\.0 taken/, 1, args);
    expect(code).toBe(75);
    expect(stderr).toMatch(/^2 not-sent: stopped by SIGINT$/m);
  });
});

describe("a command that is stopped", () => {
  it.each([
    ["probe", (port: number) => ["probe", `localhost:${port}`]],
    ["send --stop-after", (port: number) => ["send", "--stop-after", "ehlo", "--server", `localhost:${port}`]],
    ["send --dry-run", (port: number) => ["send", "--test", ...envelope, "--dry-run", "--server", `localhost:${port}`]],
  ])("ends: %s", async (_, args) => {
    const stopping = new AbortController();
    const running = cli([...args(await saying(undefined)), "--trace"], {
      signal: stopping.signal,
      onError: (text) => text.includes("CONNECT") && stopping.abort(new Error("stopped by SIGINT")),
    });
    expect(await running).toMatchObject({
      code: 75,
      stdout: "",
      stderr: expect.stringMatching(/: stopped by SIGINT\n$/),
    });
  });
});
