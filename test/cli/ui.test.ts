/** The page of `serve`: it shows messages as they arrive, and messages cannot run code there. */

import { once } from "node:events";
import { createServer, request } from "node:http";
import net from "node:net";
import { buffer } from "node:stream/consumers";
import MailComposer from "nodemailer/lib/mail-composer/index.js";
import type { Page } from "playwright-core";
import { describe, expect, it, onTestFinished } from "vitest";
import { SMTP } from "../../src/index.ts";
import { collisionsOf, inEachLook, itInBrowser, picture, violationsOf, withPage } from "../support/browser.ts";
import { type Serving, serve } from "./cli.ts";

const from = "ada@example.com";
const to = "charles@example.net";

async function send({ port }: Serving, message: string | Uint8Array): Promise<void> {
  const smtp = await SMTP.connect("localhost", port);
  await smtp.sendmail(from, to, message);
  await smtp.quit();
}

async function mail(options: object): Promise<Uint8Array> {
  return new Uint8Array(await new MailComposer({ from, to, ...options }).compile().build());
}

/** Requests a resource of the page, with any host name. */
function get(url: string, host?: string): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, host === undefined ? {} : { headers: { host } }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

describe("the page of serve", () => {
  it("has messages, their parts and their dialogues", async () => {
    const server = await serve("--ui");
    await send(
      server,
      await mail({
        subject: "Grüße",
        text: "Hi!",
        html: "<b>Hi!</b>",
        attachments: [{ filename: "a.txt", content: "A" }],
      }),
    );
    const at = server.ui ?? "";
    const detail = JSON.parse((await get(`${at}messages/1.json`)).body);
    expect(detail).toMatchObject({
      ...{ id: 1, session: 1, from, to: [to], subject: "Grüße", text: "Hi!", html: true, secure: false },
      attachments: [{ name: "a.txt", type: "text/plain", octets: 1 }],
    });
    expect((await get(`${at}messages/1.html`)).body).toBe("<b>Hi!</b>");
    expect((await get(`${at}messages/1.eml`)).body).toContain("Subject: =?UTF-8?");
    expect(await get(`${at}messages/1/attachments/0`)).toMatchObject({
      body: "A",
      headers: { "content-type": "application/octet-stream", "content-disposition": "attachment" },
    });
    expect((await get(`${at}sessions/1.html`)).body).toContain("MAIL FROM:&lt;ada@example.com&gt;");
  });

  it("answers 404 to what is not there", async () => {
    const { ui } = await serve("--ui");
    for (const path of [
      "x",
      "messages/1.json",
      "messages/1/attachments/0",
      "sessions/9.html",
      "messages/1.exe",
      "../etc/passwd",
    ]) {
      expect((await get(`${ui}${path}`)).status).toBe(404);
    }
  });

  it("survives requests that are none", async () => {
    const { ui = "" } = await serve("--ui");
    const { host, port } = new URL(ui);
    const asked = async (path: string): Promise<string> => {
      const socket = net.connect(Number(port), "127.0.0.1");
      socket.end(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      return (await buffer(socket)).toString("latin1").split("\r\n", 1)[0] ?? "";
    };
    for (const path of [
      "//",
      "///",
      "http://[",
      "http://evil.example/",
      "/%zz",
      "/..%2f..%2fetc/passwd",
      "*",
      "/__proto__",
    ]) {
      expect(await asked(path)).toMatch(/^HTTP\/1\.1 40[04] /);
    }
    expect((await get(ui)).status).toBe(200);
  });

  it("shows messages that are made to be hard to show", async () => {
    const server = await serve("--ui");
    const spaces = `${" ".repeat(900)}x`.repeat(200);
    const hostile = [
      `Subject: ${"=?utf-8?q?=22=3C=00?= ".repeat(5_000)}\r\n\r\nx`,
      `${"X-Long: y\r\n".repeat(5_000)}\r\nx`,
      "Content-Type: text/html; charset=no-such-charset\r\n\r\n<b>x</b>",
      "Content-Type: multipart/mixed; boundary=a\r\n\r\n" +
        "--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n".repeat(1_000),
      `Content-Transfer-Encoding: quoted-printable\r\n\r\n${spaces}`,
    ];
    for (const message of hostile) await send(server, message);
    for (const [index] of hostile.entries()) {
      for (const kind of ["json", "html", "txt"]) {
        const { status } = await get(`${server.ui}messages/${index + 1}.${kind}`);
        expect({ index, status }).toEqual({ index, status: 200 });
      }
    }
    const listed = await fetch(`${server.ui}events`);
    const reader = listed.body?.pipeThrough(new TextDecoderStream()).getReader();
    const { value = "" } = (await reader?.read()) ?? {};
    await reader?.cancel();
    expect(value).toContain('"id":1');
    expect(value.length).toBeLessThan(20_000);
  });

  it("answers this machine only, by its own names", async () => {
    const { ui = "" } = await serve("--ui");
    const { port } = new URL(ui);
    expect((await get(ui, `localhost:${port}`)).status).toBe(200);
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example"]) {
      expect((await get(ui, host)).status).toBe(421);
    }
  });

  it("lets nothing be framed, sniffed or loaded from elsewhere", async () => {
    const server = await serve("--ui");
    await send(server, "Subject: Hello\n\nHi!\n");
    for (const path of ["", "messages/1.html", "messages/1.json", "sessions/1.html", "messages/1.eml", "app.js"]) {
      const { headers } = await get(`${server.ui}${path}`);
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
      });
      expect(headers["content-security-policy"]).toContain("default-src 'none'");
      expect(String(headers["content-security-policy"]).includes("sandbox")).toBe(path !== "");
    }
  });

  it("tells of sessions and messages as they come", async () => {
    const server = await serve("--ui");
    const response = await fetch(`${server.ui}events`);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let heard = "";
    await send(server, "Subject: Hello\n\nHi!\n");
    while (!/"subject":"Hello"[\s\S]*"ended"/.test(heard)) heard += (await reader?.read())?.value ?? "";
    await reader?.cancel();
    expect(heard).toMatch(/^event: state\ndata: \{"messages":\[\],"sessions":\[\]\}\n\n/);
    expect(heard).toMatch(/event: sessions\ndata: \{"id":1,/);
    expect(heard).toMatch(/event: messages\ndata: \{"id":1,/);
  });
});

/** Waits for everything that a page has requested: frames, and a request of its own after them. */
async function settled(page: Page): Promise<void> {
  for (const frame of page.frames()) await frame.waitForLoadState("load");
  await page.evaluate(async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    await (await fetch("/style.css")).text();
  });
}

describe("the page of serve in a browser", () => {
  const test = itInBrowser();

  /** Opens the page of a server with two messages. */
  async function open(page: Page): Promise<Serving> {
    const server = await serve("--ui");
    await page.goto(server.ui ?? "");
    const long = "a subject that is much longer than a list is wide, with aVeryLongWordThatBreaksNowhereAtAllInIt";
    await send(server, await mail({ subject: long, text: "Hi!\n".repeat(50) }));
    await send(
      server,
      await mail({
        subject: "Grüße",
        text: "Hi!",
        html: "<h1>Grüße</h1>",
        attachments: [{ filename: "table.csv", content: "1,2" }],
      }),
    );
    await page.getByRole("button", { name: /Grüße/ }).waitFor();
    return server;
  }

  test("lists and shows what comes, legibly, on screens of each kind", { timeout: 60_000 }, async () => {
    await withPage({}, async (page) => {
      await open(page);
      expect(await page.locator("#message-count").textContent()).toBe("2");
      const looksRight = (view: string): Promise<void> =>
        inEachLook(page, async (name) => {
          await settled(page);
          expect(await collisionsOf(page), `${view}, ${name}`).toEqual([]);
          await picture(page, `ui ${view}, ${name}`);
        });
      await looksRight("list");
      await page.getByRole("button", { name: /Grüße/ }).click();
      await page.getByRole("button", { name: "Header", exact: true }).waitFor();
      for (const view of ["Header", "Text", "Attachments", "Source", "Dialogue", "HTML"]) {
        await page.getByRole("button", { name: view, exact: true }).click();
        await page.locator("#view").locator("iframe, pre, ul").first().waitFor();
        await looksRight(view);
      }
      expect(await page.frameLocator("iframe").locator("h1").textContent()).toBe("Grüße");
    });
  });

  test("has no fault that axe-core finds, on screens of each kind", { timeout: 60_000 }, async () => {
    await withPage({ bypassCSP: true }, async (page) => {
      await open(page);
      const isAccessible = (): Promise<void> =>
        inEachLook(page, async (name) => expect(await violationsOf(page), name).toEqual([]));
      await isAccessible();
      await page.getByRole("button", { name: /Grüße/ }).click();
      await page.getByRole("button", { name: "Attachments", exact: true }).click();
      await isAccessible();
    });
  });

  test("shows the dialogue of a session as a picture", async () => {
    await withPage({ viewport: { width: 1280, height: 900 } }, async (page) => {
      await open(page);
      await page.getByRole("button", { name: /^Sessions/ }).click();
      await page.getByRole("button", { name: /Session 1 / }).click();
      const frame = page.frameLocator("iframe");
      expect(await frame.locator("h1").textContent()).toMatch(/^Dialogue with 127\.0\.0\.1:/);
      expect(await frame.locator("code", { hasText: "MAIL FROM" }).count()).toBe(1);
    });
  });

  test("lets the HTML of a message neither run a script nor load anything from outside", async () => {
    const loaded: string[] = [];
    const outside = createServer((asked, answer) => {
      loaded.push(asked.url ?? "");
      answer.end("x");
    });
    outside.listen(0, "127.0.0.1");
    await once(outside, "listening");
    onTestFinished(() => void outside.close());
    const address = outside.address();
    const elsewhere = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
    const evil = `
      <script>parent.document.title = "script"; fetch("${elsewhere}/fetch")</script>
      <img src="${elsewhere}/img" onerror="parent.document.title = 'onerror'">
      <img src=x onerror="location = '${elsewhere}/onerror'">
      <link rel="stylesheet" href="${elsewhere}/css"><style>@import "${elsewhere}/import"; body { background: url(${elsewhere}/url) }</style>
      <iframe src="${elsewhere}/iframe"></iframe><object data="${elsewhere}/object"></object><embed src="${elsewhere}/embed">
      <video src="${elsewhere}/video"></video><audio src="${elsewhere}/audio"></audio><svg><image href="${elsewhere}/svg"/></svg>
      <meta http-equiv="refresh" content="0; url=${elsewhere}/refresh"><base href="${elsewhere}/base">
      <form action="${elsewhere}/form"><input name=a autofocus onfocus="parent.document.title = 'focus'"></form>
      <a id="out" href="javascript:parent.document.title='link'">link</a>
      <img src="cid:logo"><p id="end">the end</p>`;
    await withPage({ viewport: { width: 1280, height: 900 } }, async (page) => {
      const server = await serve("--ui");
      const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
      const attachments = [{ filename: "logo.png", content: Buffer.from(png, "base64"), cid: "logo" }];
      await send(server, await mail({ subject: '<img src=x onerror="document.title=1">', html: evil, attachments }));
      const scripts: string[] = [];
      page.on("dialog", (dialog) => void dialog.dismiss());
      page.on("pageerror", (error) => scripts.push(String(error)));
      await page.goto(server.ui ?? "");
      await page.getByRole("button", { name: /onerror/ }).click();
      const frame = page.frameLocator("iframe");
      await frame.locator("#end").waitFor();
      await frame.locator("#out").click();
      await settled(page);
      // The message itself as a separate page, too.
      const direct = await page.context().newPage();
      await direct.goto(`${server.ui}messages/1.html`);
      await direct.locator("#end").waitFor();
      await settled(page);
      expect(await page.title()).toBe("smtplib serve");
      expect(
        await frame
          .locator("img")
          .last()
          .evaluate((one) => Reflect.get(one, "naturalWidth")),
      ).toBe(1);
      expect(loaded).toEqual([]);
      expect(scripts).toEqual([]);
    });
  });
});
