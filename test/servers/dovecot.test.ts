/** Dovecot's LMTP: a reply for each recipient after the data, over TCP and a Unix socket. */
import { describe, expect, it } from "vitest";
import { LMTP, SMTPRecipientsRefused } from "../../src/index.ts";
import { failureOf } from "./failure.ts";
import { bodies, difference, letter } from "./letters.ts";
import { awaitMessage, awaitMessages, storedMessages } from "./mailbox.ts";
import { describeServer, type Server } from "./servers.ts";

const sender = "sender@client.test";

describeServer("dovecot", (server) => {
  describe("over TCP", () => {
    deliveries(server, () => LMTP.connect(server.host, server.port, { local_hostname: "client.test", timeout: 15 }));
  });
  describe("over a Unix socket", () => {
    deliveries(server, () => LMTP.connect(server.socket ?? "", 0, { local_hostname: "client.test", timeout: 15 }));
  });
  describe("over TLS", () => {
    deliveries(server, async () => {
      const lmtp = await LMTP.connect(server.host, server.port, { local_hostname: "client.test", timeout: 15 });
      await lmtp.starttls({ ca: server.ca });
      return lmtp;
    });
  });
});

function deliveries(server: Server, connect: () => Promise<LMTP>): void {
  async function session(use: (lmtp: LMTP) => Promise<void>): Promise<void> {
    const lmtp = await connect();
    try {
      await use(lmtp);
      await lmtp.quit();
    } finally {
      lmtp.close();
    }
  }

  it.each(Object.entries(bodies))("stores %s, octet for octet", async (_, body) => {
    const { marker, content } = letter(body);
    await session(async (lmtp) => {
      expect(await lmtp.sendmail(sender, "alice@lab.test", content)).toEqual({});
    });
    const stored = await awaitMessage(server, marker);
    expect(difference(content, stored.message)).toBeUndefined();
  });

  it("tells for each recipient what became of the message, at RCPT or after the data", async () => {
    const { marker, content } = letter();
    const to = ["full@lab.test", "alice@lab.test", "nobody@lab.test", "bob@lab.test"];
    await session(async (lmtp) => {
      const delivery = await lmtp.deliver({ from: sender, to, body: content });
      expect(delivery.accepted).toEqual(["alice@lab.test", "bob@lab.test"]);
      expect(delivery.refused["full@lab.test"]).toMatchObject({ code: 552, enhancedCode: "5.2.2" });
      expect(delivery.refused["nobody@lab.test"]).toMatchObject({ code: 550, enhancedCode: "5.1.1" });
      expect(delivery.replies.map((reply) => reply.code)).toEqual([552, 250, 550, 250]);
    });
    const stored = await awaitMessages(server, marker, 2);
    expect(stored.map((message) => message.recipient.split("@")[0]).sort()).toEqual(["alice", "bob"]);
  });

  it("throws if the data was refused for all, and goes on", async () => {
    const { marker, content } = letter();
    const next = letter();
    await session(async (lmtp) => {
      const error = await failureOf(lmtp.sendmail(sender, ["full@lab.test"], content));
      expect(error).toBeInstanceOf(SMTPRecipientsRefused);
      expect(error).toMatchObject({ delivery: "rejected", recipients: { "full@lab.test": { code: 552 } } });
      await lmtp.sendmail(sender, ["bob@lab.test"], next.content);
    });
    await awaitMessage(server, next.marker);
    expect(await storedMessages(server, marker)).toEqual([]);
  });

  it("throws if nobody is known, and goes on", async () => {
    const next = letter();
    await session(async (lmtp) => {
      const refused = lmtp.sendmail(sender, ["nobody@lab.test", "noone@lab.test"], letter().content);
      await expect(refused).rejects.toBeInstanceOf(SMTPRecipientsRefused);
      await lmtp.sendmail(sender, ["bob@lab.test"], next.content);
    });
    await awaitMessage(server, next.marker);
  });

  it("keeps the replies of queued messages apart", async () => {
    const rounds = [["alice"], ["full", "bob"], ["nobody"], ["alice", "bob"], ["full"], ["bob"]];
    const letters = rounds.map((names) => ({ ...letter(), to: names.map((name) => `${name}@lab.test`) }));
    await session(async (lmtp) => {
      const sent = await Promise.allSettled(letters.map(({ to, content }) => lmtp.sendmail(sender, to, content)));
      const results = sent.map((one) => (one.status === "fulfilled" ? Object.keys(one.value) : one.reason.name));
      const none = "SMTPRecipientsRefused";
      expect(results).toEqual([[], ["full@lab.test"], none, [], none, []]);
    });
    for (const [i, count] of [1, 1, 0, 2, 0, 1].entries()) {
      await awaitMessages(server, letters[i]?.marker ?? "", count);
    }
  });
}
