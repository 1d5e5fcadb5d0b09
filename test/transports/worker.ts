/**
 * The Worker of the tests within workerd: sends one mail, as the request describes it, and returns the outcome as JSON.
 */
import { SMTP, SMTP_SSL, SMTPException, type SMTPOptions } from "../../src/index.ts";
import { connect } from "../../transports/workers.ts";

export default {
  async fetch(request: Request): Promise<Response> {
    const task = await request.json();
    return Response.json(await perform(task).catch(told));
  },
};

/** The task of the Worker. */
export type Task = {
  host: string;
  port: number;
  tls: "starttls" | "implicit" | "none";
  options?: SMTPOptions;
  user?: string;
  password?: string;
  /** The text of the message; `repeat` makes it longer. */
  body: string;
  repeat?: number;
  path?: string;
  sourceAddress?: [string, number];
  abort?: boolean;
};

async function perform(task: Task): Promise<unknown> {
  const { host, port, tls, options, user, password, body, repeat = 1, path, sourceAddress, abort } = task;
  if (path !== undefined) return connect({ path }, {});
  if (sourceAddress !== undefined) return connect({ host, port }, { sourceAddress });
  if (abort) {
    const controller = new AbortController();
    const connecting = connect({ host, port }, { signal: controller.signal });
    controller.abort(new TypeError("changed my mind"));
    return connecting;
  }
  const type = tls === "implicit" ? SMTP_SSL : SMTP;
  const smtp = await type.connect(host, port, { transport: connect, timeout: 5, ...options });
  try {
    if (tls === "starttls") await smtp.starttls();
    if (user !== undefined && password !== undefined) await smtp.login(user, password);
    const { reply } = await smtp.deliver({
      from: "ada@example.com",
      to: ["charles@example.net"],
      body: body.repeat(repeat),
    });
    const { peer } = smtp;
    await smtp.quit();
    return { reply: reply.message, peer };
  } finally {
    smtp.close();
  }
}

function told(error: unknown) {
  if (!(error instanceof Error)) return { thrown: String(error) };
  const { cause } = error;
  return {
    name: error.name,
    message: error.message,
    ...(error instanceof SMTPException ? { delivery: error.delivery } : {}),
    ...(cause instanceof Error ? { cause: { name: cause.name, message: cause.message } } : {}),
  };
}
