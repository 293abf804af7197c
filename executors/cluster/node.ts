/**
 * Starts a node of a cluster: a program that runs tasks of a `ClusterExecutor` on this machine.
 *
 * ```sh
 * deno run --allow-net --allow-env --allow-read --allow-run \
 *   jsr:@concurrent/futures/node --redis redis://127.0.0.1:6379 \
 *   --module tasks=./tasks.ts --workers 4
 * ```
 *
 * - `--module` names a module whose exported functions may be called. It can be given several times.
 * - `--help` lists all options.
 * - When the node is ready, it prints one line of JSON to its standard output: its name, and the functions that it
 *   offers.
 * - SIGTERM or SIGINT ends it when its running tasks have ended; a second signal ends it at once, and other nodes run
 *   its tasks again.
 * - The exit code is 0 after one signal, 2 if an option is wrong, and 1 otherwise.
 *
 * The module exports nothing. The
 * {@link https://github.com/concurrent-futures/futures/blob/main/executors/cluster/README.md | guide to clusters} tells
 * more.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { isServer, shown } from "./_address.ts";
import { aliasOf } from "./_jobs.ts";
import type { NodeOptions } from "./_node.ts";
import type { Permissions } from "./_node_pool.ts";

const HELP = `Runs the tasks of a cluster.

  --redis <url>            the server, such as redis://user:password@host:port/db; rediss: for
                           TLS (default: the variable REDIS_URL, which lists of processes do
                           not show, or else redis://127.0.0.1:6379)
  --queue <name>           the queue to serve (default: futures)
  --prefix <name>          the beginning of the server's keys (default: bull)
  --module <name>=<path>   a module whose exported functions jobs may call, and the name by
                           which jobs know it (default: that of its file); may be repeated
  --workers <n>            how many processes run tasks at once (default: the number of cores)
  --permissions <which>    what tasks may do: inherit (what this node may), none, or JSON such
                           as {"net":["example.com"],"read":true} (default: inherit)
  --lock <ms>              how long a node may be silent before other nodes run its jobs again,
                           in milliseconds: at least 1000, and the same on all nodes of a
                           queue (default: 10000)
  --ca <file>              for rediss: the certificate of the server's authority, as PEM
  --cert <file>            for rediss: the certificate of this node, if the server asks for it
  --key <file>             for rediss: the private key of that certificate
  --name <name>            what the node is called (default: node-<process number>, or with
                           --allow-sys=hostname <host name>-<process number>)
  --help                   print this text
`;

const OPTIONS = {
  redis: { type: "string" },
  queue: { type: "string", default: "futures" },
  prefix: { type: "string", default: "bull" },
  module: { type: "string", multiple: true, default: [] as string[] },
  workers: { type: "string", default: String(navigator.hardwareConcurrency) },
  permissions: { type: "string", default: "inherit" },
  lock: { type: "string", default: "10000" },
  ca: { type: "string" },
  cert: { type: "string" },
  key: { type: "string" },
  name: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

class UsageError extends Error {}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, strict: true }).values;
  } catch (error) {
    // An argument in the wrong place may be the address, with its password.
    const message = args.filter((arg) => arg.includes("@"))
      .reduce((text, arg) => text.replaceAll(arg, shown(arg)), (error as Error).message);
    throw new UsageError(message);
  }
}

function parseOptions(args: string[]): NodeOptions | undefined {
  const { queue, prefix, module: given, permissions, ca, cert, key, help, ...rest } = parse(args);
  if (help) return undefined;
  const redis = rest.redis ?? Deno.env.get("REDIS_URL") ?? "redis://127.0.0.1:6379";
  if (!isServer(redis)) {
    throw new UsageError(
      `The option --redis must be a URL as redis://host:port or rediss://host:port: ${shown(redis)}`,
    );
  }
  for (const [option, value] of [["queue", queue], ["prefix", prefix]]) {
    if (value === "" || value.includes(":")) {
      throw new UsageError(`The option --${option} must be a name that is not empty and has no colon: ${value}`);
    }
  }
  const name = rest.name ?? `${hostname()}-${Deno.pid}`;
  const lock = Number(rest.lock);
  if (!Number.isInteger(lock) || lock < 1_000) {
    throw new UsageError(`The option --lock must be an integer of at least 1000, in milliseconds: ${rest.lock}`);
  }
  const workers = Number(rest.workers);
  if (!Number.isInteger(workers) || workers < 1) {
    throw new UsageError(`The option --workers must be an integer of at least 1: ${rest.workers}`);
  }
  const parsed = given.map(parseModule);
  const names = parsed.map(([name]) => name);
  const modules = new Map(parsed);
  if (modules.size === 0) {
    throw new UsageError("The node has nothing to run. To fix it, give at least one --module <name>=<path>");
  }
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new UsageError(
      `Two modules have the same name: ${twice}. To fix it, name each one by --module <name>=<path>`,
    );
  }
  const files = Object.entries({ ca, cert, key }).filter(([, path]) => path !== undefined);
  const tls = Object.fromEntries(files.map(([name, path]) => [name, readFile(name, path!)]));
  return {
    address: { redis, queue, prefix, tls: files.length === 0 ? undefined : tls },
    modules,
    workers,
    permissions: parsePermissions(permissions),
    lock,
    name,
  };
}

/** Reads the file that an option names. */
function readFile(option: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new UsageError(`The option --${option} must be a file that can be read: ${(error as Error).message}`);
  }
}

/** The name of this machine, if this program may know it. */
function hostname(): string {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? Deno.hostname() : "node";
}

function parsePermissions(text: string): Permissions {
  if (text === "inherit" || text === "none") return text;
  try {
    const permissions = JSON.parse(text);
    if (typeof permissions === "object" && permissions !== null) return permissions;
  } catch {
    // Said below.
  }
  throw new UsageError(`The option --permissions must be inherit, none or a JSON object: ${text}`);
}

function parseModule(text: string): [name: string, url: string] {
  const [, name, path] = /^(?:([^=:/]+)=)?(.+)$/.exec(text) ?? [];
  if (path === undefined) throw new UsageError(`The option --module must be <name>=<path>: ${text}`);
  const url = URL.canParse(path) ? path : new URL(path, `file://${Deno.cwd()}/`).href;
  return [name ?? aliasOf(url), url];
}

async function main(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (options === undefined) {
    console.log(HELP);
    return;
  }
  // Processes get the arguments of their program, where tasks can read them, and these may have a password.
  Object.defineProperty(Deno, "args", { value: Object.freeze([]) });
  // Who asks for help, or is told what is wrong, does not wait until the packages are loaded.
  const { ClusterNode } = await import("./_node.ts");
  const node = new ClusterNode(options);
  let isEnding = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, async () => {
      if (isEnding) Deno.exit(1);
      isEnding = true;
      console.error(
        `${options.name}: Received ${signal}, so it takes no more jobs and ends when those that run have ended`,
      );
      await node.close();
      Deno.exit(0);
    });
  }
  void node.broken.then((problem) => {
    console.error(
      `${options.name}: Cannot run tasks any more, so it ends and leaves what it had not begun to others: ${problem}`,
    );
    Deno.exit(1);
  });
  const functions = await node.start();
  const { name, workers, address: { queue } } = options;
  console.log(JSON.stringify({ ready: true, node: name, pid: Deno.pid, queue, workers, modules: functions }));
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(
      error instanceof UsageError ? `${error.message}; see --help` : error instanceof Error ? error.message : error,
    );
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
}
