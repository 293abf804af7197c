/** A cluster on this machine: a Redis server, and nodes in processes of their own. */
import { assert } from "@std/assert";
import { ClusterExecutor, type ClusterExecutorOptions } from "@concurrent/futures/cluster";
import { restoreAfterFailure, share, test, type TestOptions, until } from "../_helpers.ts";
import { hasServer, RedisServer } from "./_redis.ts";

/** The command that starts a node. */
export const NODE = import.meta.resolve("../../executors/cluster/node.ts");

/** Options that make a node know modules of the fixtures: names and paths. */
export function nodeModules(modules: { [name: string]: string }): string[] {
  return Object.entries(modules).flatMap((
    [name, path],
  ) => ["--module", `${name}=${import.meta.resolve(`../fixtures/${path}`)}`]);
}

/** Runs the command that starts a node until it ends. */
export async function runNode(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", NODE, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** A node that takes jobs. */
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
  startNode(workers?: number, ...more: string[]): Promise<Node>;
  /** With all options of the node but where its queue is, and with flags and variables for Deno. */
  launchNode(
    options: readonly string[],
    more?: { flags?: readonly string[]; env?: { [name: string]: string } },
  ): Promise<Node>;
}

/** Tells which test cannot run here. There is no server for Windows. */
export function ignoreWithoutServer(name: string): void {
  if (Deno.build.os === "windows") return;
  Deno.test({ name: `${name} (needs redis-server)`, ignore: true, fn: () => {} });
}

/** Registers a test with a server of its own; ignored by name where there is none. */
export function clusterTest(
  name: string,
  fn: (cluster: Cluster) => Promise<void>,
  { serverOptions = [], ...options }: TestOptions & { serverOptions?: string[] } = {},
): void {
  if (!hasServer) {
    ignoreWithoutServer(name);
    return;
  }
  test(name, async () => {
    await using server = await RedisServer.start(...serverOptions);
    const queue = "tests";
    await using nodes = new AsyncDisposableStack();
    await fn({
      server,
      queue,
      make: (options) => new ClusterExecutor({ redis: server.url, queue, ...options }),
      startNode: async (workers, ...more) => nodes.use(await Node.start(server, queue, workers, ...more)),
      launchNode: async (options, more) => nodes.use(await Node.launch(server, queue, options, more)),
    });
  }, { bound: 60_000, ...options });
}

/** Nodes that the tests of a file share, by how many workers each has. */
const sharedNodes = [1, 2];

let shared: { server: RedisServer; nodes: readonly Node[] } | undefined;
let isShared = false;

/** The queue of the shared node with so many workers. */
function sharedQueue(workers: number): string {
  return `shared-${workers}`;
}

/** Starts what {@linkcode sharedClusterTest} gives its tests before the first test, and ends it after the last one. */
function shareCluster(): void {
  const start = async () => {
    const server = await RedisServer.start();
    share(server.pid);
    const nodes = await Promise.all(sharedNodes.map((workers) => Node.start(server, sharedQueue(workers), workers)));
    for (const node of nodes) share(node.pid);
    shared = { server, nodes };
  };
  const end = async () => {
    for (const node of shared!.nodes) await node[Symbol.asyncDispose]();
    await shared!.server[Symbol.asyncDispose]();
  };
  Deno.test.beforeAll(start);
  Deno.test.afterAll(end);
  // They may be what hangs.
  restoreAfterFailure(async () => {
    await end();
    await start();
  });
}

/**
 * Registers a test with a server and a node that it shares with others of its file: for those that break nothing, see
 * all their tasks end, and look at no job but their own. To start both takes a test half a second of CPU.
 *
 * @param workers How many workers the node has.
 */
export function sharedClusterTest(
  name: string,
  workers: 1 | 2,
  fn: (cluster: Pick<Cluster, "server" | "queue" | "make"> & { readonly node: Node }) => Promise<void>,
  options: TestOptions = {},
): void {
  if (!hasServer) {
    ignoreWithoutServer(name);
    return;
  }
  if (!isShared) shareCluster();
  isShared = true;
  test(name, async () => {
    const { server, nodes } = shared!;
    const queue = sharedQueue(workers);
    await fn({
      server,
      queue,
      node: nodes[sharedNodes.indexOf(workers)],
      make: (options) => new ClusterExecutor({ redis: server.url, queue, ...options }),
    });
  }, { bound: 60_000, ...options });
}
