/** Pages in headless Chromium, if it is installed: pictures, accessibility, and overlapping texts. */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { env } from "node:process";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, it } from "vitest";
import { onNode } from "./runtimes.ts";

const path = [env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (one) => one !== undefined && existsSync(one),
);

let launched: Promise<Browser> | undefined;

/**
 * A test in the browser, only on Node, since the pages are the same on each runtime. Without Chromium it is skipped
 * with a message, or fails if servers are required. Call it once in a file: it closes the file's browser at the end.
 */
export function itInBrowser(): typeof it | typeof it.skip {
  if (!onNode) return it.skip;
  afterAll(closeBrowser);
  if (path !== undefined || env["CI"] === "true" || env["SMTPLIB_REQUIRE_SERVERS"] === "1") return it;
  console.warn("SKIPPED: pages in a browser: Chromium is not installed; see test/servers/install.sh");
  return it.skip;
}

/** Files may share this module: the next file starts another browser. */
async function closeBrowser(): Promise<void> {
  const closing = launched;
  launched = undefined;
  await (await closing)?.close();
}

/** The looks of a page: widths of a desktop and of a phone, light and dark. */
export const looks = [1280, 390].flatMap((width) =>
  (["light", "dark"] as const).map((colorScheme) => ({ name: `${width} px, ${colorScheme}`, width, colorScheme })),
);

/** Shows a page in each look, one after the other. */
export async function inEachLook(page: Page, use: (name: string) => Promise<void>): Promise<void> {
  for (const { colorScheme, name, width } of looks) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await use(name);
  }
}

/** Opens a new page for `use`, which can observe its requests and scripts. */
export async function withPage<T>(options: BrowserContextOptions, use: (page: Page) => Promise<T>): Promise<T> {
  const { chromium } = await import("playwright-core");
  launched ??= chromium.launch({ executablePath: path ?? "chromium", args: ["--no-sandbox"] });
  const context = await (await launched).newContext(options);
  try {
    return await use(await context.newPage());
  } finally {
    await context.close();
  }
}

/**
 * The violations that axe-core finds in a page: rules, and the elements that break them. Open the page with `bypassCSP`
 * if its own policy allows no script.
 */
export async function violationsOf(page: Page): Promise<string[]> {
  const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  const found = await page.evaluate(`${source}; axe.run().then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 120)).join(" | ")))`);
  return Array.isArray(found) ? found.map(String) : [String(found)];
}

/** Texts that overlap, as pairs, and texts outside the page. */
export async function collisionsOf(page: Page): Promise<string[]> {
  const found = await page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const boxes: { text: string; left: number; right: number; top: number; bottom: number }[] = [];
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const text = node.textContent?.trim() ?? "";
      const { parentElement } = node;
      if (text === "" || parentElement === null || !parentElement.checkVisibility()) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const { left, right, top, bottom, width } of range.getClientRects()) {
        if (width > 0) boxes.push({ text: text.slice(0, 40), left, right, top, bottom });
      }
    }
    const overlap = (a: (typeof boxes)[number], b: (typeof boxes)[number]): boolean =>
      Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
    const pairs = boxes.flatMap((a, index) =>
      boxes.slice(index + 1).flatMap((b) => (overlap(a, b) ? [`"${a.text}" and "${b.text}"`] : [])),
    );
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth ? [...pairs, `the page is ${scrollWidth} px wide`] : pairs;
  });
  return found;
}

/** Takes a picture if SMTPLIB_PICTURES names a folder. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = env["SMTPLIB_PICTURES"];
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
