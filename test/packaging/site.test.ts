/**
 * The built site in Chromium: two widths, light and dark; accessible, and without broken links.
 *
 * @node Each runtime would read the same files.
 */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { env } from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inEachLook, itInBrowser, picture, violationsOf, withPage } from "../support/browser.ts";
import { pages, root } from "./documents.ts";

const dist = join(root, "docs/.vitepress/dist");
const isBuilt = existsSync(join(dist, "index.html"));
if (!isBuilt) console.warn("SKIPPED: the site is not built: npm run docs");

const TYPES: Readonly<Record<string, string>> = {
  ...{ ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" },
  ...{ ".json": "application/json", ".woff2": "font/woff2", ".md": "text/markdown", ".txt": "text/plain" },
};

let base = "";
/** Serves the site like a static host. */
const server = createServer(({ url = "/" }, response) => {
  const path = new URL(url, "http://localhost").pathname;
  const file = [path, `${path}.html`, `${path}index.html`]
    .map((one) => join(dist, one))
    .find((one) => one.startsWith(dist) && extname(one) !== "" && existsSync(one));
  if (file === undefined) return void response.writeHead(404).end();
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
  response.end(readFileSync(file));
});

/** Pages of each kind: the start, text with code, wide tables, a drawing, the reference. */
const SHOWN = ["", "guide/first-mail", "guide/from-nodemailer", "extensions", "architecture", "reference/smtplib/sasl"];

describe.runIf(isBuilt)("the site", () => {
  beforeAll(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    // A server of TCP has an address with a port.
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });

  afterAll(() => new Promise((resolve) => server.close(resolve)));

  const inBrowser = itInBrowser();

  inBrowser.each(SHOWN)(
    "can be read by everybody, at each width, light and dark: /%s",
    { timeout: 120_000 },
    async (path) => {
      await withPage({}, async (page) => {
        const failed: string[] = [];
        page.on("response", (response) => void (response.status() >= 400 && failed.push(response.url())));
        page.on("pageerror", (error) => void failed.push(String(error)));
        await page.goto(base + path, { waitUntil: "networkidle" });
        await inEachLook(page, async (look) => {
          await picture(page, `site-${path.replaceAll("/", "-") || "home"}-${look.replace(/\W+/g, "-")}`);
          const beyond = await page.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
          );
          expect(beyond, look).toBe(0);
          expect(await violationsOf(page), look).toEqual([]);
        });
        expect(failed).toEqual([]);
      });
    },
  );

  inBrowser("finds a page by its words, without a network", { timeout: 60_000 }, async () => {
    await withPage({ viewport: { width: 1280, height: 900 } }, async (page) => {
      const asked: string[] = [];
      page.on("request", (request) => void asked.push(request.url()));
      await page.goto(base, { waitUntil: "networkidle" });
      // Waits until Vue has taken over the page: the button works from then on.
      await page.waitForFunction(() => "__vue_app__" in (document.querySelector("#app") ?? {}));
      await page.locator(".DocSearch-Button").click();
      await page.locator("#localsearch-input").fill("greylisting");
      await page.locator(".VPLocalSearchBox .result").first().waitFor();
      expect(await page.locator(".VPLocalSearchBox .result").allTextContents()).toContainEqual(
        expect.stringMatching(/Errors/),
      );
      expect(asked.filter((url) => !url.startsWith(base) && !url.startsWith("data:"))).toEqual([]);
    });
  });

  it("has every page, as HTML and as Markdown, and a list of them for programs", () => {
    const list = readFileSync(join(dist, "llms.txt"), "utf8");
    const names = pages
      .filter((page) => page.startsWith("docs/") && page !== "docs/index.md")
      .map((page) => page.slice(5));
    for (const name of names) {
      expect(existsSync(join(dist, name.replace(/md$/, "html"))), name).toBe(true);
      expect(existsSync(join(dist, name)), name).toBe(true);
      expect(list).toContain(`/${name}`);
    }
  });
});

// Where everything is required, the site must be built: CI builds it.
it.runIf(env["SMTPLIB_REQUIRE_SITE"] === "1")("the site is built", () => {
  expect(isBuilt).toBe(true);
});
