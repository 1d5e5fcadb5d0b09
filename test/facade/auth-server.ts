/** A fake server that plays AUTH exchanges. */
import type { Script } from "../client/fake-server.ts";

/** Answers AUTH by its mechanism, and each response line with the next of the same answers. */
export const authServer = (
  mechanisms: string,
  answers: Record<string, string | string[]>,
  peer?: Script["peer"],
): Script => {
  let current: string[] = [];
  const respond = (): string => current.shift() ?? "500 what";
  const on: NonNullable<Script["on"]> = {
    AUTH: (line) => {
      const answer = answers[line.split(" ")[1] ?? ""] ?? "504 unknown";
      current = typeof answer === "string" ? [answer] : [...answer];
      return respond();
    },
  };
  const proxy = new Proxy(on, {
    get: (target, verb) =>
      typeof verb === "string" && !/^(AUTH|EHLO|NOOP|QUIT|MAIL|RCPT|DATA|RSET|HELO)$/.test(verb)
        ? respond
        : Reflect.get(target, verb),
  });
  return { ehlo: [`AUTH ${mechanisms}`], on: proxy, peer };
};
