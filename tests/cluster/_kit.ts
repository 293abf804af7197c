/** A cluster on this machine: a Redis server, and nodes, in one process together or each in one of its own. */
import { assert } from "@std/assert";
import { ClusterExecutor, type ClusterExecutorOptions } from "@concurrent/futures/cluster";
import {
  BOUND,
  restoreAfterFailure,
  share,
  shareWorkers,
  sleep,
  test,
  type TestOptions,
  until,
  within,
} from "../_helpers.ts";
import { square } from "../fixtures/tasks.ts";
import { Host, type HostedNode, type HostedNodeOptions } from "./_host.ts";
import { hasServer, RedisServer } from "./_redis.ts";

/** The command that starts a node. */
export const NODE = import.meta.resolve("../../executors/cluster/node.ts");

/** The URLs of modules of the fixtures, by the names that jobs use. */
export function moduleUrls(modules: { [name: string]: string }): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(modules).map(([name, path]) => [name, import.meta.resolve(`../fixtures/${path}`)]),
  );
}

/** Options that make a node know modules of the fixtures: names and paths. */
export function nodeModules(modules: { [name: string]: string }): string[] {
  return Object.entries(moduleUrls(modules)).flatMap(([name, url]) => ["--module", `${name}=${url}`]);
}

/** Waits until something of the server holds. */
export async function untilServer(condition: () => Promise<boolean>, what: string, ms = BOUND): Promise<void> {
  const end = performance.now() + ms;
  while (!await condition()) {
    assert(performance.now() < end, `${what}: not after ${ms} ms`);
    await sleep(5);
  }
}

/** Runs the command that starts a node until it ends. */
export async function runNode(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", NODE, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** A node that takes jobs, in a process of its own, as users start it. */
export class Node implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #read: Promise<void>;
  /** What it has written to stderr so far. */
  stderr = "";
  hasEnded = false;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#read = (async () => {
      for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) this.stderr += text;
    })();
    void process.status.then(() => this.hasEnded = true);
  }

  /** Starts one and waits until it says that it is ready. */
  static async start(server: RedisServer, queue: string, workers = 2, ...more: string[]): Promise<Node> {
    const modules = nodeModules({
      tasks: "tasks.ts",
      errors: "errors.ts",
      values: "values.ts",
      cluster_tasks: "cluster_tasks.ts",
      control_tasks: "control_tasks.ts",
    });
    return await Node.launch(server, queue, ["--workers", String(workers), ...modules, ...more]);
  }

  /**
   * As {@linkcode start}, with all options of the node but where its queue is, and with flags and variables for Deno.
   */
  static async launch(
    server: RedisServer,
    queue: string,
    options: readonly string[],
    { flags = [], env = {} }: { flags?: readonly string[]; env?: { [name: string]: string } } = {},
  ): Promise<Node> {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-check", ...flags, NODE, "--redis", server.url, "--queue", queue],
        ...options,
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1", ...env },
    }).spawn();
    const node = new Node(process);
    let said = "";
    void (async () => {
      for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) said += text;
    })();
    await until(() => said.includes("\n") || node.hasEnded, "a node that is ready", 20_000);
    assert(!node.hasEnded, `The node has ended: ${node.stderr}`);
    assert(JSON.parse(said).ready);
    return node;
  }

  get pid(): number {
    return this.#process.pid;
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** How it ended, and what it wrote to stderr. */
  async ended(): Promise<{ code: number; stderr: string }> {
    const { code } = await this.#process.status;
    await this.#read;
    return { code, stderr: this.stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasEnded) this.kill("SIGTERM");
    await this.ended();
  }
}

/** What a test of a cluster is given. */
export interface Cluster {
  readonly server: RedisServer;
  readonly queue: string;
  make(options?: ClusterExecutorOptions): ClusterExecutor;
  /** Starts a node in the process that the tests share. It can be ended, but not killed. */
  startNode(workers?: number, more?: Partial<HostedNodeOptions>): Promise<HostedNode>;
  /** Starts a node in a process of its own: it can be killed, and takes what else the command takes. */
  spawnNode(workers?: number, ...more: string[]): Promise<Node>;
  /** With all options of the node but where its queue is, and with flags and variables for Deno. */
  launchNode(
    options: readonly string[],
    more?: { flags?: readonly string[]; env?: { [name: string]: string } },
  ): Promise<Node>;
}

/** What a test is given that shares a node with others: nodes that it starts serve the same queue. */
export interface SharedCluster extends Cluster {
  readonly node: HostedNode;
}

/** Tells which test cannot run here. There is no server for Windows. */
export function ignoreWithoutServer(name: string): void {
  if (Deno.build.os === "windows") return;
  Deno.test({ name: `${name} (needs redis-server)`, ignore: true, fn: () => {} });
}

// ---- what the tests of a file share -------------------------------------------------------------------------------
// A node in a process of its own takes half a second of CPU, one in the shared process an eighth, an executor a
// quarter. Each module that loads the library takes each process of a node a twentieth.

/** How the nodes of this file are started where a test says nothing else. */
const nodeOptions: { modules: { [name: string]: string }; lock: number } = {
  modules: { tasks: "tasks.ts" },
  lock: 10_000,
};

/**
 * Says how the nodes of this file are started where a test says nothing else.
 *
 * @param modules Which modules of the fixtures they know besides `tasks`, by name.
 * @param lock The option of that name, in milliseconds.
 */
export function useNodes({ modules, lock = 10_000 }: { modules?: { [name: string]: string }; lock?: number }): void {
  Object.assign(nodeOptions, { modules: { tasks: "tasks.ts", ...modules }, lock });
}

/** What {@linkcode sharedClusterTest} and {@linkcode sharedPoolTest} give their tests, for so many workers. */
interface Lent {
  readonly queue: string;
  readonly node: HostedNode;
  readonly pool: ClusterExecutor | undefined;
}

let shared: { server: RedisServer; host: Host; lent: ReadonlyMap<number, Lent> } | undefined;
let isShared = false;

/** For how many workers the tests of this file want a node, and whether they want an executor as well. */
const wanted = new Map<number, { hasPool: boolean }>();

/** Those that others have taken the place of: when they are collected, something of theirs ends during some test. */
const replaced: unknown[] = [];

async function startShared(): Promise<void> {
  const server = await RedisServer.start();
  share(server.pid);
  const host = new Host();
  share(host.pid);
  const lent = new Map(
    await Promise.all([...wanted].map(async ([workers, { hasPool }]) => {
      const queue = `shared-${workers}`;
      const pool = hasPool ? new ClusterExecutor({ redis: server.url, queue }) : undefined;
      const node = await startHosted(host, { redis: server.url, queue, workers });
      if (pool !== undefined) await within(pool.submit(square, 1), "the first task", 20_000);
      return [workers, { queue, node, pool }] as const;
    })),
  );
  shareWorkers();
  shared = { server, host, lent };
}

function startHosted(
  host: Host,
  options: Partial<HostedNodeOptions> & Pick<HostedNodeOptions, "redis" | "queue" | "workers">,
): Promise<HostedNode> {
  return host.start({ modules: moduleUrls(nodeOptions.modules), lock: nodeOptions.lock, ...options });
}

/** Starts what tests share before the first test, and ends it after the last one. */
function shareCluster(): void {
  if (isShared) return;
  isShared = true;
  Deno.test.beforeAll(startShared);
  Deno.test.afterAll(async () => {
    const { server, host, lent } = shared!;
    for (const { pool } of lent.values()) await pool?.shutdown();
    await host[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  // They may be what hangs.
  restoreAfterFailure(async () => {
    const { server, host, lent } = shared!;
    replaced.push(lent);
    await host.kill();
    await server[Symbol.asyncDispose]();
    await startShared();
  });
}

/** A queue for a test, and nodes that end with it. */
function clusterOf(
  server: RedisServer,
  host: Host | undefined,
  queue: string,
  nodes: AsyncDisposableStack,
): Cluster {
  const { modules, lock } = nodeOptions;
  const address = { redis: server.url, queue };
  return {
    server,
    queue,
    make: (options) => new ClusterExecutor({ ...address, ...options }),
    startNode: async (workers = 2, more) => nodes.use(await startHosted(host!, { ...address, workers, ...more })),
    spawnNode: async (workers = 2, ...more) => {
      const options = ["--workers", String(workers), "--lock", String(lock), ...nodeModules(modules), ...more];
      return nodes.use(await Node.launch(server, queue, options));
    },
    launchNode: async (options, more) => nodes.use(await Node.launch(server, queue, options, more)),
  };
}

let queues = 0;

/** What a test says of the cluster that it wants. */
export interface ClusterTestOptions extends TestOptions {
  /** Whether it has a server of its own, because it ends or changes it. */
  readonly ownServer?: boolean;
  /** Options of its own server. */
  readonly serverOptions?: readonly string[];
  /** Whether it never calls `startNode`. Where all tests of a file say so, there is no process for their nodes. */
  readonly withoutHost?: boolean;
}

/**
 * Registers a test with a queue of its own, on the server of all tests of the file; ignored by name where there is no
 * server.
 */
export function clusterTest(
  name: string,
  fn: (cluster: Cluster) => Promise<void>,
  { serverOptions = [], ownServer = serverOptions.length > 0, withoutHost = false, ...options }: ClusterTestOptions =
    {},
): void {
  if (!hasServer) {
    ignoreWithoutServer(name);
    return;
  }
  if (!withoutHost) shareCluster();
  test(name, async () => {
    const { host, server } = shared ?? {};
    await using own = ownServer || server === undefined ? await RedisServer.start(...serverOptions) : undefined;
    await using nodes = new AsyncDisposableStack();
    await fn(clusterOf(own ?? server!, host, `tests-${++queues}`, nodes));
  }, { bound: 60_000, ...options });
}

/**
 * Registers a test with a server and a node that it shares with others of its file: for those that break nothing, see
 * all their tasks end, and look at no job but their own.
 *
 * @param workers How many workers the node has.
 */
export function sharedClusterTest(
  name: string,
  workers: 1 | 2,
  fn: (cluster: SharedCluster) => Promise<void>,
  options: TestOptions = {},
): void {
  lend(name, workers, false, fn, options);
}

/**
 * As {@linkcode sharedClusterTest}, also with an executor that the tests share, without options: for those that do not
 * look at how it starts and ends, or at all that it has done.
 */
export function sharedPoolTest(
  name: string,
  workers: 1 | 2,
  fn: (cluster: SharedCluster & { readonly pool: ClusterExecutor }) => void | Promise<void>,
  options: TestOptions = {},
): void {
  lend(name, workers, true, (cluster, pool) => fn({ ...cluster, pool: pool! }), options);
}

function lend(
  name: string,
  workers: 1 | 2,
  hasPool: boolean,
  fn: (cluster: SharedCluster, pool: ClusterExecutor | undefined) => void | Promise<void>,
  options: TestOptions,
): void {
  if (!hasServer) {
    ignoreWithoutServer(name);
    return;
  }
  shareCluster();
  wanted.set(workers, { hasPool: hasPool || (wanted.get(workers)?.hasPool ?? false) });
  test(name, async () => {
    const { server, host, lent } = shared!;
    const { queue, node, pool } = lent.get(workers)!;
    await using nodes = new AsyncDisposableStack();
    await fn({ ...clusterOf(server, host, queue, nodes), node }, pool);
  }, { bound: 60_000, ...options });
}
