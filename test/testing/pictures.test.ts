/** The picture of a dialogue: its content, the secrets that it leaves out, and its layout in a browser. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { SMTP } from "../../src/index.ts";
import { recordTranscript, renderTranscript, startServer } from "../../src/testing/index.ts";
import { scratch } from "../cli/cli.ts";
import { collisionsOf, inEachLook, itInBrowser, picture, violationsOf, withPage } from "../support/browser.ts";

const long =
  "an explanation that is much longer than a telephone is wide, with aVeryLongWordThatBreaksNowhereAtAll.example";

/** A session with everything that a picture can show: TLS, a login, groups, refusals, a message, pauses. */
async function recorded(): Promise<string> {
  const server = startServer({
    auth: { user: "ada", password: "open sesame" },
    answers: {
      connect: { delay: 0.02 },
      rcpt: ({ address }) => (address?.startsWith("x") ? `550 5.1.1 <b>no</b> such user, ${long}` : undefined),
    },
  });
  server.once("rcpt", "451 4.7.1 later");
  const recording = recordTranscript(server.transport, { times: true });
  const smtp = await SMTP.connect("mail.example.com", 587, { transport: recording.transport });
  await smtp.starttls();
  await smtp.login("ada", "open sesame");
  const to = ["later@example.net", "xavier@example.net", "charles@example.net"];
  await smtp.sendmail(
    "ada@example.com",
    to,
    `Subject: Hello\n\n<script>document.title = "run"</script>\n${"word ".repeat(60)}\n`,
  );
  await smtp.quit();
  await server.close();
  return recording.transcript;
}

const EXAMPLE = `# 5.000 ms
CONNECT mail.example.com:587
# 15.000 ms
S: 220 hi
# 16.000 ms
C: EHLO me
# 36.000 ms
S: 250-hi
S: 250 PIPELINING
# 37.000 ms
C: MAIL FROM:<a@b>
C: RCPT TO:<c@d>
C: DATA
# 57.000 ms
S: 250 ok
S: 550 no
S: 354 go
# 58.000 ms
C: x
# 99988 more octets
C: .
# 80.000 ms
S: 554 no recipients
END
`;

describe("renderTranscript", () => {
  it("tells octets, round trips, writes and who waited for whom", () => {
    const page = renderTranscript(EXAMPLE);
    const sums = Array.from(page.matchAll(/<dt>(.*?)<\/dt><dd>(.*?)<\/dd>/g), ([, name, value]) => `${name} ${value}`);
    expect(sums).toEqual([
      "took 75.0 ms",
      "round trips 3",
      "writes 3",
      "sent 100.0 kB",
      "received 75 octets",
      "client waited 72.0 ms",
      "server waited 3.0 ms",
    ]);
  });

  it("counts times from the beginning of what it draws, and no octets of what is masked", () => {
    const later = EXAMPLE.replace(/^# ([\d.]+) ms$/gm, (_, at) => `# ${(Number(at) + 3_600_000).toFixed(3)} ms`);
    const times = (page: string): string[] =>
      Array.from(page.matchAll(/<time>(.*?)<\/time>/g), ([, time = ""]) => time);
    expect(times(renderTranscript(later))).toEqual(times(renderTranscript(EXAMPLE)));
    expect(times(renderTranscript(later))[0]).toBe("0.0 ms");
    const login =
      "S: 220 hi\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: ***\nS: 334 ***\nC: ***\nS: 235 ok\nC: AUTH PLAIN ***\n";
    const page = renderTranscript(`CONNECT a:25\n${login}`);
    expect(page).toContain("<dt>sent</dt><dd>12 octets and secrets</dd>");
    expect(page.match(/<span class="size">a secret<\/span>/g)).toHaveLength(4);
  });

  it("shows what left together, replies by their kind, and a message by its size", () => {
    const page = renderTranscript(EXAMPLE);
    expect(page).toContain("3 commands in one write");
    expect(page).toContain('<code class="refused">550 no</code>');
    expect(page).toContain("<code>message: 100.0 kB</code>");
    expect(page).toContain("<code>250 hi … (2 lines)</code>");
    expect(page).toContain("the server took 20.0 ms");
    expect(page).toContain("the server ends the connection");
  });

  it("draws a transcript without times, and several connections", () => {
    const page = renderTranscript("CONNECT a:25\nS: 220 hi\nC: QUIT\nS: 221 bye\n\nCONNECT b:25\nS: 554 no\nTLS\n");
    expect(page).toContain("<h2>Connection 2: b:25</h2>");
    expect(page).not.toContain("<time>");
    expect(page).not.toContain("took");
    expect(renderTranscript("")).toContain("There was no connection.");
    expect(() => renderTranscript("what is this")).toThrow(SyntaxError);
  });

  it("holds no secret, no markup of the dialogue's, and asks for nothing from elsewhere", async () => {
    const page = renderTranscript(await recorded());
    expect(page).not.toMatch(/sesame/);
    expect(page).not.toContain(btoa("\0ada\0open sesame"));
    expect(page).not.toMatch(/<script|<b>no/);
    expect(page).not.toMatch(/\b(src|href)=|url\(|@import/);
    expect(page).toContain("default-src 'none'");
  });
});

describe("the picture in a browser", () => {
  const test = itInBrowser();

  async function file(): Promise<string> {
    const path = join(await scratch(), "page.html");
    await writeFile(path, renderTranscript(await recorded()));
    return pathToFileURL(path).href;
  }

  test("has no texts that overlap, and no fault that axe-core finds, on screens of each kind", {
    timeout: 60_000,
  }, async () => {
    await withPage({ bypassCSP: true }, async (page) => {
      await page.goto(await file());
      await inEachLook(page, async (name) => {
        expect(await collisionsOf(page), name).toEqual([]);
        expect(await violationsOf(page), name).toEqual([]);
        await picture(page, `dialogue, ${name}`);
      });
      await page.evaluate(() => {
        for (const one of document.querySelectorAll("details")) one.open = true;
      });
      await inEachLook(page, async (name) => expect(await collisionsOf(page), name).toEqual([]));
    });
  });

  test("shows the octets of a row under the pointer, and by a tap", async () => {
    await withPage({ viewport: { width: 1280, height: 800 } }, async (page) => {
      await page.goto(await file());
      const row = page.locator("details", { hasText: "EHLO" }).first();
      const octets = row.locator("pre");
      const seen = (): Promise<boolean> =>
        octets.evaluate((one) => one.checkVisibility({ contentVisibilityAuto: true }));
      expect(await seen()).toBe(false);
      await row.locator("summary").hover();
      expect(await seen()).toBe(true);
      await page.mouse.move(0, 0);
      expect(await seen()).toBe(false);
      await row.locator("summary").click();
      await page.mouse.move(0, 0);
      expect(await seen()).toBe(true);
    });
  });

  test("is printed with all octets, and runs no script of the dialogue's", async () => {
    await withPage({ viewport: { width: 800, height: 800 } }, async (page) => {
      const requests: string[] = [];
      page.on("request", (request) => requests.push(request.url()));
      const url = await file();
      await page.goto(url);
      await page.emulateMedia({ media: "print" });
      const hidden = await page.evaluate(
        () => [...document.querySelectorAll("pre")].filter((one) => !one.checkVisibility()).length,
      );
      expect(hidden).toBe(0);
      await picture(page, "dialogue, printed");
      expect(await page.title()).toBe("Dialogue with mail.example.com:587");
      expect(requests).toEqual([url]);
    });
  });
});
