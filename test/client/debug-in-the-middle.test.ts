import { expect, test, vi } from "vitest";
import { preparedSession } from "../support/session.ts";

test("replies to a message are printed from the moment on that debugging is switched on", async () => {
  const printed: string[] = [];
  const log = vi.spyOn(console, "error").mockImplementation((line: string) => void printed.push(line));
  try {
    const { server, smtp } = await preparedSession({ ehlo: ["PIPELINING"] });
    const sent = smtp.sendmail("a@b.c", "d@e.f", "x\r\n");
    smtp.set_debuglevel(1);
    await sent;
    expect(server.lines).toContain("DATA");
    expect(printed.filter((line) => line.startsWith("reply"))).toHaveLength(4);
  } finally {
    log.mockRestore();
  }
});
