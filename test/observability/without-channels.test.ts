/**
 * If the runtime has no diagnostics channels, mail is still sent.
 * @isolated The modules look for the channels when they are loaded.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LogFields, SMTP } from "../../src/index.ts";
import { instrument } from "../../src/opentelemetry.ts";
import { FakeServer } from "../client/fake-server.ts";

const { getBuiltinModule } = process;

beforeAll(() => {
  Reflect.set(process, "getBuiltinModule", (id: string) => {
    throw new Error(`there is no ${id} here`);
  });
});

afterAll(() => {
  Reflect.set(process, "getBuiltinModule", getBuiltinModule);
});

describe("without diagnostics channels", () => {
  it("messages are sent, and the logger is told", async () => {
    const events: string[] = [];
    const tell = (_: string, { event }: LogFields): void => void events.push(event);
    const { transport } = new FakeServer();
    const logger = { debug: tell, info: tell, warn: tell, error: tell };
    const smtp = await SMTP.connect("mail.example.com", 25, { transport, logger });
    expect(await smtp.sendmail("ada@example.com", "charles@example.net", "Hi!\n")).toEqual({});
    await smtp.quit();
    expect(events).toEqual(expect.arrayContaining(["connect", "open", "send", "reply", "delivered", "end"]));
  });

  it("OpenTelemetry cannot be begun, and says why", () => {
    expect(() => instrument()).toThrow("this runtime has no node:diagnostics_channel");
  });
});
