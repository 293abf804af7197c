/** A cluster as a user starts it: the node by its command in executors/cluster/README.md, with an empty cache. */
import { assert, assertEquals, fail } from "@std/assert";
import { hasServer, RedisServer } from "../cluster/_redis.ts";
import { ignoreWithoutServer } from "../cluster/_kit.ts";
import { test, until } from "../_helpers.ts";
import { assertPrints, Project, type Run } from "./_project.ts";
import { Registry } from "./_registry.ts";
import { serveFolder } from "./_web.ts";

/** The arguments of the command in executors/cluster/README.md that starts a node, for this server and module. */
function nodeArguments(server: RedisServer, module = "tasks=./tasks.ts"): string[] {
  const text = Deno.readTextFileSync(new URL("../../executors/cluster/README.md", import.meta.url)).replaceAll(
    "\\\n",
    "",
  );
  const [, command] = /^deno (run .* jsr:@concurrent\/futures\/node .*)$/m.exec(text) ?? fail("no command for a node");
  return command.replace(/redis:\S+/, server.url).replace(/tasks=\S+/, module).split(/\s+/);
}

/** A node that takes jobs; it is asked to end at the end of its block, and killed when it does not. */
class Node implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #output: Promise<unknown>;
  #said = "";
  #hasEnded = false;

  constructor({ folder, env }: Project, args: readonly string[]) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [...args],
      cwd: folder,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const streams = [this.#process.stdout, this.#process.stderr].map(async (stream) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#said += text;
    });
    this.#output = Promise.all(streams).then(() => this.#hasEnded = true);
  }

  async ready(): Promise<void> {
    await until(() => this.#hasEnded || this.#said.includes('{"ready":true'), "a node that is ready");
    assert(!this.#hasEnded, this.#said);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 5_000);
    const { signal } = await this.#process.status;
    clearTimeout(timer);
    await this.#output;
    assertEquals(signal, null, this.#said);
  }
}

function clusterTest(name: string, fn: () => Promise<void>): void {
  if (!hasServer) return ignoreWithoutServer(name);
  test(name, fn, { bound: 60_000 });
}

const FLAGS = ["--no-prompt", "--allow-net", "--allow-env", "--allow-read"];

/** What {@linkcode runWithNodes} has run, with the same nodes for several tests. */
type Runs = { [how in "block" | "await" | "web"]: Promise<Run> };

let runs: Promise<Runs> | undefined;

/**
 * Runs the program on a node, with empty caches, and once more on a node whose module lies on a web server. Resolves
 * when all that has ended, well or not.
 */
async function runWithNodes(): Promise<Runs> {
  await using server = await RedisServer.start();
  await using registry = await Registry.start();
  const machine = new Project(registry, ["tasks.ts"]);
  const run = (project: Project, how: string) => project.deno(["run", ...FLAGS, "cluster.ts", server.url, how]);
  const runs: Partial<Runs> = {};
  let last: Project | undefined;
  {
    await using node = new Node(machine, nodeArguments(server));
    await node.ready();
    for (const how of ["block", "await"] as const) {
      last = new Project(registry, ["cluster.ts", "tasks.ts"]);
      runs[how] = run(last, how);
      await Promise.allSettled([runs[how]]);
    }
  }
  await using web = serveFolder("programs");
  const [command, ...args] = nodeArguments(server, `tasks=http://127.0.0.1:${web.addr.port}/tasks.ts`);
  await using node = new Node(machine, [command, "-A", ...args.filter((arg) => !arg.startsWith("--allow-"))]);
  runs.web = node.ready().then(() => run(last!, "block"));
  await Promise.allSettled([runs.web]);
  return runs as Runs;
}

for (const how of ["block", "await"] as const) {
  clusterTest(`the first results come from a cluster, with empty caches: ${how}`, async () => {
    const run = await (await (runs ??= runWithNodes()))[how];
    assertEquals({ ...run, stderr: "" }, { code: 0, stdout: "24\n3,6,9\n", stderr: "" }, run.stderr);
  });
}

clusterTest("a node calls functions of a module that lies on a web server", async () => {
  assertEquals((await (await (runs ??= runWithNodes())).web).stdout, "24\n3,6,9\n");
});

clusterTest("all that a cluster needs is there when its programs begin: they run offline", async () => {
  await using server = await RedisServer.start();
  const registry = await Registry.start();
  const project = new Project(registry, ["cluster.ts", "tasks.ts"]);
  // Not by `deno cache`, which fetches also what is only imported for its types.
  for (const args of [["cluster.ts", server.url, "not at all"], ["jsr:@concurrent/futures/node", "--help"]]) {
    const { code, stderr } = await project.deno(["run", ...FLAGS, ...args]);
    assertEquals(code, 0, stderr);
  }
  await project.disconnect();
  await using node = new Node(project, nodeArguments(server));
  await node.ready();
  assertPrints(await project.deno(["run", ...FLAGS, "cluster.ts", server.url, "block"]), "24", "3,6,9");
});
