/**
 * The example of an outbox with a dashboard, from the packed tarball on each runtime, viewed in Chromium.
 *
 * @node It starts each runtime itself.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect } from "vitest";
import { describeService } from "../outbox/describe-service.ts";
import { type Service, startRedis } from "../outbox/services.ts";
import { itInBrowser, picture, withPage } from "../support/browser.ts";
import { runtimes } from "../support/runtimes.ts";
import type { Folder } from "./installed.ts";
import { judgedExamples, judgeReport } from "./judged.ts";

describeService("redis", () => {
  const inBrowser = itInBrowser();
  let folder: Folder;
  let redis: Service;

  beforeAll(async () => {
    [folder, redis] = await Promise.all([judgedExamples(), startRedis()]);
  }, 60_000);

  afterAll(async () => {
    await redis.close();
    await folder.remove();
  });

  inBrowser.each(runtimes)(
    "a dashboard shows jobs, their progress and dead letters of an outbox on $name",
    { timeout: 60_000 },
    async ({ name, command }) => {
      const judge = await judgeReport();
      const [file, ...args] = [...command, "examples/outbox-dashboard.mjs"];
      const env = { ...process.env, ...judge.env, REDIS_PORT: String(redis.port), QUEUE: name };
      const child = spawn(file, args, { cwd: folder.path, env, stdio: ["ignore", "pipe", "inherit"] });
      const ended = once(child, "close");
      try {
        const dashboard = `${await addressFrom(child)}/queue/${name}`;
        await withPage({}, async (page) => {
          page.setDefaultTimeout(15_000);
          const shows = async (status: string, tab: string, ...texts: string[]): Promise<void> => {
            await page.goto(`${dashboard}?status=${status}`);
            await page.getByRole("tab", { name: tab }).click();
            for (const text of texts) await page.getByText(text).first().waitFor();
            await picture(page, `dashboard-${name}-${status}-${tab}`);
          };
          await shows("completed", "Data", "charles@example.net", "queued as demo-1");
          await shows("failed", "Error", "no recipient was accepted; nobody@example.net: 550 no such user here");
          await shows("failed", "Progress", '"give-up"');
          await shows("delayed", "Data", "mary@example.org");
          await shows("delayed", "Progress", '"retry"', "attempts", "cannot connect to");
        });
      } finally {
        child.kill("SIGTERM");
        await ended;
      }
      expect(child.exitCode).toBe(0);
      await judge.expectNothing({});
    },
  );
});

/** The address that the example prints. */
async function addressFrom({ stdout }: ChildProcess): Promise<string> {
  for await (const chunk of stdout ?? []) {
    const found = /^dashboard: (\S+)$/m.exec(String(chunk))?.[1];
    if (found !== undefined) return found;
  }
  throw new Error("the example ended without a dashboard");
}
