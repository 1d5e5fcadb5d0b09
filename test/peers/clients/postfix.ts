/**
 * Postfix's smtp(8) and lmtp(8): a separate instance, which sends only to the scripted servers. Its log has a status
 * for each recipient: sent, deferred (it will send again) or bounced.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Answer, type Claim, PATIENCE, type Task, textOf } from "../claims.ts";
import { inParallel } from "../in-parallel.ts";

const run = promisify(execFile);

/** The maximum time in milliseconds until the log names all recipients. */
const LIMIT = 180_000;

/** Sends all tasks, then makes Postfix send deferred messages again, and waits for that, too. */
export async function sendByPostfix(tasks: readonly Task[], onAnswers: (answers: Answer[]) => void): Promise<void> {
  const instance = await Instance.start(tasks);
  try {
    await inParallel(tasks, 4, (task) => instance.submit(task));
    const first = await instance.untilLogged(tasks, 1);
    onAnswers(first);
    const deferred = tasks.filter(({ id }) => {
      const answer = first.find((one) => one.id === id);
      return Object.values(answer?.claims ?? {}).includes("later");
    });
    await instance.flush();
    await instance.untilLogged(deferred, 2);
  } finally {
    await instance.stop();
  }
}

class Instance {
  readonly #home: string;
  readonly #master: ChildProcess;
  readonly #domains: ReadonlyMap<string, string>;

  private constructor(home: string, master: ChildProcess, domains: ReadonlyMap<string, string>) {
    this.#home = home;
    this.#master = master;
    this.#domains = domains;
  }

  static async start(tasks: readonly Task[]): Promise<Instance> {
    const home = await mkdtemp(join(tmpdir(), "smtplib-postfix-"));
    await chmod(home, 0o755);
    const domains = new Map(tasks.map(({ id }, index) => [id, `s${index}.test`]));
    for (const folder of ["etc", "queue", "data"]) await mkdir(join(home, folder));
    await run("chown", ["postfix", join(home, "data")]);
    const transports = tasks.map(({ id, protocol, port }) => `${domains.get(id)} ${protocol}:[127.0.0.1]:${port}\n`);
    await writeFile(join(home, "etc/transport"), transports.join(""));
    await writeFile(join(home, "etc/main.cf"), mainCf(home));
    await writeFile(join(home, "etc/master.cf"), MASTER_CF);
    await run("postfix", ["-c", join(home, "etc"), "check"]);
    const { stdout } = await run("postconf", ["-c", join(home, "etc"), "-h", "daemon_directory"]);
    const master = spawn(join(stdout.trim(), "master"), ["-c", join(home, "etc"), "-s"], {
      stdio: "ignore",
      detached: true,
    });
    return new Instance(home, master, domains);
  }

  /** Puts a mail into the queue, with the recipients of its script in a separate domain. */
  async submit(task: Task): Promise<void> {
    const { id, from, to } = task;
    const recipients = to.map((recipient) => this.#address(id, recipient));
    const child = run("sendmail", ["-C", join(this.#home, "etc"), "-i", "-f", from, "--", ...recipients]);
    child.child.stdin?.end(textOf(task));
    await child;
  }

  /** Retries deferred messages at once. */
  async flush(): Promise<void> {
    await run("postqueue", ["-c", join(this.#home, "etc"), "-f"]);
  }

  /** Waits until the log has this many statuses for each recipient; returns the first of each. */
  async untilLogged(tasks: readonly Task[], times: number): Promise<Answer[]> {
    const began = Date.now();
    for (;;) {
      const log = parsed(await readFile(join(this.#home, "log"), "utf8").catch(() => ""));
      const statuses = (task: Task, to: string): Status[] => log.get(this.#address(task.id, to)) ?? [];
      const done = (task: Task, to: string): boolean => {
        const known = statuses(task, to);
        return known.length >= times || known.some(({ status }) => status !== "deferred");
      };
      const missing = tasks.filter((task) => !task.to.every((to) => done(task, to)));
      if (missing.length === 0) return tasks.map((task) => answerOf(task, (to) => statuses(task, to)[0]));
      if (Date.now() - began > LIMIT) throw new Error(`Postfix says nothing of ${missing.map(({ id }) => id)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#master.once("exit", resolve));
    // The master and all its daemons are one process group.
    if (this.#master.pid !== undefined) process.kill(-this.#master.pid, "SIGTERM");
    await gone;
    await rm(this.#home, { recursive: true, force: true });
  }

  #address(id: string, recipient: string): string {
    return recipient.replace(/@.*/, `@${this.#domains.get(id)}`);
  }
}

type Status = { readonly status: string; readonly words: string };

/** The statuses of each recipient, in the order of the log. */
function parsed(log: string): Map<string, Status[]> {
  const found = new Map<string, Status[]>();
  for (const [, to = "", status = "", words = ""] of log.matchAll(/ to=<([^>]+)>.* status=(\w+) \((.*)\)$/gm)) {
    found.set(to, [...(found.get(to) ?? []), { status, words }]);
  }
  return found;
}

function answerOf({ id, to }: Task, statusOf: (recipient: string) => Status | undefined): Answer {
  const claims: Record<string, Claim> = {};
  for (const recipient of to) claims[recipient] = CLAIMS[statusOf(recipient)?.status ?? ""] ?? "error";
  return { id, claims, words: statusOf(to[0] ?? "")?.words ?? "" };
}

const CLAIMS: Readonly<Record<string, Claim>> = { sent: "delivered", deferred: "later", bounced: "refused" };

/** All phases of the dialogue, with the same timeout as for the other clients. */
const TIMEOUTS = ["connect", "helo", "mail", "rcpt", "data_init", "data_xfer", "data_done", "rset", "quit"];

function mainCf(home: string): string {
  const timeouts = ["smtp", "lmtp"].flatMap((name) =>
    TIMEOUTS.map((phase) => `${name}_${phase === "helo" && name === "lmtp" ? "lhlo" : phase}_timeout = ${PATIENCE}s`),
  );
  return `compatibility_level = 3.6
queue_directory = ${home}/queue
data_directory = ${home}/data
maillog_file = ${home}/log
maillog_file_prefixes = ${home}
myhostname = client.test
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
# Bounces, and whatever else is not for a scripted server: nothing may leave this machine.
default_transport = discard
transport_maps = texthash:${home}/etc/transport
disable_dns_lookups = yes
smtp_tls_security_level = none
lmtp_tls_security_level = none
notify_classes =
message_size_limit = 0
# A second try comes when it is asked for.
minimal_backoff_time = 1h
maximal_backoff_time = 1h
queue_run_delay = 1h
${timeouts.join("\n")}
`;
}

/** The daemons that sending needs; nothing listens on the network. */
const MASTER_CF = `cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
pickup unix n - n 1 1 pickup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - 24 smtp
lmtp unix - - n - 24 lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
showq unix n - n - - showq
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`;
