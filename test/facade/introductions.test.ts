/** ehlo(), helo() and the fields that they set: esmtp_features, does_esmtp, ehlo_resp, helo_resp, local_hostname. */
import { describe, expect, test } from "vitest";
import { LMTP, type SMTP } from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { reasonOf, session } from "../support/session.ts";

describe("ehlo()", () => {
  test("remembers the answer and what it offers", async () => {
    const { smtp } = await session({ ehlo: ["SIZE 1000", "AUTH PLAIN", "AUTH=LOGIN", "8BITMIME"] });
    expect(smtp).toMatchObject({ does_esmtp: false, ehlo_resp: undefined, helo_resp: undefined });
    expect(Object.keys(smtp.esmtp_features)).toEqual([]);
    await smtp.ehlo();
    expect(smtp).toMatchObject({ does_esmtp: true, helo_resp: undefined });
    expect(smtp.ehlo_resp).toBe("fake\nSIZE 1000\nAUTH PLAIN\nAUTH=LOGIN\n8BITMIME");
    expect({ ...smtp.esmtp_features }).toEqual({ size: "1000", auth: "PLAIN LOGIN", "8bitmime": "" });
  });

  test("is asked about features in any case, and only about features", async () => {
    const { smtp } = await session({ ehlo: ["8BITMIME", "__proto__ x"] });
    await smtp.ehlo();
    expect(smtp.has_extn("8bitmime")).toBe(true);
    expect(smtp.has_extn("8BitMime")).toBe(true);
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", ""])
      expect(smtp.has_extn(name)).toBe(false);
    expect(Object.getPrototypeOf(smtp.esmtp_features)).toBeNull();
    // @ts-expect-error: no string
    expect(() => smtp.has_extn(1)).toThrow(TypeError);
  });

  test("that is said again replaces the features, also by none", async () => {
    const { smtp } = await session({ on: { EHLO: ["250-x\r\n250 DSN", "250-x\r\n250 SIZE", "502 no"] } });
    await smtp.ehlo();
    await smtp.ehlo();
    expect({ ...smtp.esmtp_features }).toEqual({ size: "" });
    expect(await smtp.ehlo()).toStrictEqual([502, "no"]);
    expect({ ...smtp.esmtp_features }).toEqual({});
    expect(smtp.ehlo_resp).toBe("no");
  });

  test("that is refused does not change does_esmtp", async () => {
    const { smtp } = await session({ on: { EHLO: "502 no" } });
    await smtp.ehlo();
    expect(smtp.does_esmtp).toBe(false);
  });

  test("does not know less after HELO, as in Python", async () => {
    for (const answer of ["250 hello", "502 no"]) {
      const { smtp } = await session({ ehlo: ["DSN"], on: { HELO: answer } });
      await smtp.ehlo();
      await smtp.helo();
      expect(smtp).toMatchObject({ does_esmtp: true, helo_resp: answer.slice(4) });
      expect(smtp.has_extn("dsn")).toBe(true);
    }
  });
});

describe("ehlo_or_helo_if_needed()", () => {
  const introduce = async (script: Script): Promise<{ lines: string[]; result: unknown; smtp: SMTP }> => {
    const { server, smtp } = await session(script, { local_hostname: "me" });
    const result = await reasonOf(smtp.ehlo_or_helo_if_needed());
    return { lines: server.lines, result, smtp };
  };

  test("says EHLO, once", async () => {
    const { lines, smtp } = await introduce({});
    await smtp.ehlo_or_helo_if_needed();
    await smtp.sendmail("a@b.c", "d@e.f", "x");
    expect(lines.filter((line) => /^(EHLO|HELO)/.test(line))).toEqual(["EHLO me"]);
  });

  test.each(["502 no", "451 later"])("says HELO after a refused EHLO: %s", async (refusal) => {
    const { lines, smtp } = await introduce({ on: { EHLO: refusal } });
    expect(lines).toEqual(["EHLO me", "HELO me"]);
    expect(smtp).toMatchObject({ does_esmtp: false, ehlo_resp: refusal.slice(4), helo_resp: "ok" });
  });

  test("throws SMTPHeloError if both are refused", async () => {
    const { result } = await introduce({ on: { EHLO: "502 no", HELO: "550 go away" } });
    expect(result).toMatchObject({ name: "SMTPHeloError", smtp_code: 550, smtp_error: "go away", delivery: undefined });
  });

  test("throws SMTPHeloError for a 421, after which nobody listens", async () => {
    const { result, smtp } = await introduce({ on: { EHLO: "421 bye" } });
    expect(result).toMatchObject({ name: "SMTPHeloError", smtp_code: 421, temporary: true });
    expect(smtp.connected).toBe(false);
  });

  test("says nothing where something was said, even if it was refused", async () => {
    const { server, smtp } = await session({ on: { EHLO: "502 no" } });
    await smtp.ehlo();
    await smtp.ehlo_or_helo_if_needed();
    expect(server.lines).toHaveLength(1);
  });

  test("sendmail says so of its message, too", async () => {
    const { smtp } = await session({ on: { EHLO: "502 no", HELO: "550 no" } });
    expect(await reasonOf(smtp.sendmail("a@b.c", "d@e.f", "x"))).toMatchObject({
      name: "SMTPHeloError",
      delivery: "not-sent",
    });
  });

  test("in LMTP says LHLO, and has nothing to fall back to (RFC 2033 4.1)", async () => {
    const server = new FakeServer({ on: { LHLO: ["250-x\r\n250 DSN", "502 no"] } });
    const lmtp = await LMTP.connect("/run/lmtp", 0, { transport: server.transport, local_hostname: "me" });
    await lmtp.ehlo_or_helo_if_needed();
    expect(lmtp.has_extn("dsn")).toBe(true);
    await lmtp.connect("/run/lmtp");
    expect(await reasonOf(lmtp.ehlo_or_helo_if_needed())).toMatchObject({ name: "SMTPHeloError", smtp_code: 502 });
    expect(server.lines).toEqual(["LHLO me", "LHLO me"]);
  });
});

describe("our name", () => {
  test.each<[address: string | undefined, name: string]>([
    ["192.0.2.1", "[192.0.2.1]"],
    ["2001:db8::1", "[IPv6:2001:db8::1]"],
    ["::ffff:192.0.2.1", "[192.0.2.1]"],
    ["fe80::1%eth0", "[IPv6:fe80::1]"],
    ["/run/x.sock", "[127.0.0.1]"],
    ["", "[127.0.0.1]"],
    [undefined, "[127.0.0.1]"],
  ])("is our address on the connection by default: %s", async (localAddress, name) => {
    const { server, smtp } = await session({ peer: { localAddress } });
    await smtp.ehlo();
    await smtp.helo();
    expect(server.lines).toEqual([`EHLO ${name}`, `HELO ${name}`]);
    expect(smtp.local_hostname).toBe(name);
  });

  test("is the option local_hostname, what is assigned later, or the argument", async () => {
    const { server, smtp } = await session({}, { local_hostname: "client.example.com" });
    await smtp.ehlo();
    smtp.local_hostname = "other.example.com";
    await smtp.ehlo();
    await smtp.ehlo("third.example.com");
    await smtp.ehlo("");
    expect(server.lines).toEqual([
      "EHLO client.example.com",
      "EHLO other.example.com",
      "EHLO third.example.com",
      "EHLO other.example.com",
    ]);
    expect(() => {
      smtp.local_hostname = "a\r\nb";
    }).toThrow(RangeError);
  });
});
