/**
 * Separate Redis and PostgreSQL servers for tests, on free ports, in temporary folders; they can be killed and
 * restarted.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A running server. */
export type Service = {
  /** The folder of its data. */
  readonly dir: string;
  readonly port: number;
  /** Ends it by SIGKILL, and starts it again with its data. */
  restart(): Promise<void>;
  /** Ends it by SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again. */
  start(): Promise<void>;
  /** Ends it, and removes its data. */
  close(): Promise<void>;
};

/** Options of a Redis server. */
export type RedisOptions = { readonly appendfsync?: "always" | "everysec"; readonly appendonly?: "yes" | "no" };

/**
 * Starts a Redis server that loses nothing, at most one second with "everysec", or everything with `appendonly: "no"`.
 */
export async function startRedis({ appendfsync = "always", appendonly = "yes" }: RedisOptions = {}): Promise<Service> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), "smtplib-redis-"));
  const options = { port, dir, bind: "127.0.0.1", appendonly, appendfsync, save: "", loglevel: "warning" };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return started([port, dir], ["redis-server", ...args], () => accepts(port));
}

/** Starts a PostgreSQL server with one user, "postgres", without a password, and the database "postgres". */
export async function startPostgres(): Promise<Service> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), "smtplib-postgres-"));
  await chmod(dir, 0o777);
  const binaries = postgresBinaries() ?? "";
  const data = join(dir, "data");
  copyFolder(await emptyCluster(binaries), data);
  const command = asPostgres(join(binaries, "postgres"), [
    ...["-D", data, "-p", String(port), "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"],
  ]);
  // It accepts connections before it answers them.
  const ready = async (): Promise<boolean> =>
    spawnSync(join(binaries, "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", String(port)]).status === 0;
  return started([port, dir], command, ready, data);
}

/**
 * What initdb makes: once for each version of PostgreSQL, since it takes longer than most files take for their tests.
 * It is made in the folder for temporary files, as PostgreSQL's user may see nothing of a project in a home folder.
 */
async function emptyCluster(binaries: string): Promise<string> {
  const cache = join(import.meta.dirname, "../../.cache");
  const cluster = join(cache, `cluster${binaries.replaceAll("/", "-")}-${process.getuid?.()}`);
  if (existsSync(cluster)) return cluster;
  const dir = await mkdtemp(join(tmpdir(), "smtplib-initdb-"));
  try {
    await chmod(dir, 0o777);
    const data = join(dir, "data");
    succeed(asPostgres(join(binaries, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "-N"]));
    await mkdir(cache, { recursive: true });
    // Under another name first: another process may do the same at the same time.
    const copy = join(await mkdtemp(join(cache, "making-")), "data");
    copyFolder(data, copy);
    await rename(copy, cluster).catch((error: unknown) => {
      if (!existsSync(cluster)) throw error;
    });
    await rm(dirname(copy), { recursive: true, force: true });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return cluster;
}

/** Copies a folder with its owner and modes, for which PostgreSQL looks. */
function copyFolder(from: string, to: string): void {
  succeed(["cp", "-a", from, to]);
}

function succeed([command, ...args]: readonly [string, ...string[]]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
}

/** PostgreSQL refuses to run as root. */
function asPostgres(command: string, args: readonly string[]): [string, ...string[]] {
  if (process.getuid?.() !== 0) return [command, ...args];
  return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", command, ...args];
}

async function started(
  [port, dir]: [port: number, dir: string],
  [command, ...args]: [string, ...string[]],
  ready: () => Promise<boolean>,
  data?: string,
): Promise<Service> {
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    // The leftover file of a killed PostgreSQL prevents the next start.
    if (data !== undefined) await rm(join(data, "postmaster.pid"), { force: true });
    // It does not start either before the children of a killed server have ended.
    for (let tries = 0; tries < 50; tries++) {
      child = spawn(command, args, { stdio: "ignore" });
      if (await answering(child, ready)) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`${command} did not start`);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ended = child;
    child = undefined;
    if (ended === undefined || ended.exitCode !== null) return;
    const closed = new Promise((resolve) => ended.once("close", resolve));
    ended.kill(signal);
    await closed;
  };
  const kill = (): Promise<void> => end("SIGKILL");
  await start();
  return {
    port,
    dir,
    start,
    kill,
    restart: async () => {
      await kill();
      await start();
    },
    close: async () => {
      // With SIGINT, PostgreSQL waits for its children.
      await end("SIGINT");
      await rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

/** Waits until a server answers; false if it ended. */
async function answering(child: ChildProcess, ready: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 400 && child.exitCode === null; tries++) {
    if (await ready()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const settle = (accepted: boolean): void => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/** Whether a program is installed. */
export function has(command: string): boolean {
  return ["/usr/bin", "/usr/local/bin", "/bin"].some((folder) => existsSync(join(folder, command)));
}

/** The folder of the newest version's PostgreSQL programs. */
export function postgresBinaries(): string | undefined {
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return undefined;
  const versions = readdirSync(root).filter((version) => existsSync(join(root, version, "bin/postgres")));
  const newest = versions.sort((a, b) => Number(a) - Number(b)).at(-1);
  return newest === undefined ? undefined : join(root, newest, "bin");
}
