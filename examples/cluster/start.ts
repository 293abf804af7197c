/**
 * Starts a cluster on this machine: a Redis server on the loopback interface and two nodes. The sha and the flags
 * example run on it.
 *
 * ```sh
 * deno run -A examples/cluster/start.ts               # needs redis-server (Debian: apt install redis-server)
 * deno run -A examples/cluster/start.ts --rounds 50   # less to compute
 * deno run -A examples/cluster/start.ts --keep        # leaves the server and the nodes running until Ctrl-C
 * ```
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { commandLine, readOptions, rounds } from "../_options.ts";

const here = (path: string) => fromFileUrl(new URL(path, import.meta.url));

/** A port that nobody listens on just now. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function start(command: string, args: string[], stdout: "piped" | "null"): Deno.ChildProcess {
  return new Deno.Command(command, { args, stdin: "null", stdout, stderr: "inherit" }).spawn();
}

async function end(process: Deno.ChildProcess): Promise<void> {
  try {
    process.kill("SIGTERM");
  } catch {
    // It has ended already.
  }
  await process.status;
}

/** Starts a server that keeps what it is given, as one for jobs has to. */
async function startServer(folder: string): Promise<{ url: string; process: Deno.ChildProcess }> {
  const port = freePort();
  const process = start("redis-server", [
    ...["--bind", "127.0.0.1", "--port", String(port), "--dir", folder],
    ...["--appendonly", "yes", "--maxmemory-policy", "noeviction"],
  ], "null");
  for (let i = 0; i < 100; i++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return { url: `redis://127.0.0.1:${port}`, process };
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  await end(process);
  throw new Error(`redis-server does not answer on port ${port}`);
}

/** Starts a node with one process for tasks, and waits until it takes jobs. */
async function startNode(redis: string, name: string): Promise<Deno.ChildProcess> {
  const process = start(Deno.execPath(), [
    ...["run", "-A", here("../../executors/cluster/node.ts"), "--redis", redis, "--name", name, "--workers", "1"],
    ...["--module", here("../sha.ts"), "--module", here("../_flags_common.ts")],
  ], "piped");
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await reader.read();
  if (!value.includes('"ready":true')) throw new Error(`${name} does not get ready: ${value}`);
  // What tasks print comes here, too.
  void (async () => {
    while (!(await reader.read()).done);
  })();
  return process;
}

/** Runs one of the programs beside this one. */
async function run(program: string, ...args: string[]): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", here(program), ...args] }).spawn()
    .status;
  if (!success) throw new Error(`${program} has failed`);
}

async function main(): Promise<void> {
  const { keep, rounds } = readOptions(COMMAND);
  const folder = await Deno.makeTempDir({ prefix: "cluster-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const { url, process } = await startServer(folder);
  stack.defer(() => end(process));
  for (const [i, what] of ["one node", "two nodes"].entries()) {
    const node = await startNode(url, `node-${i + 1}`);
    stack.defer(() => end(node));
    console.log(`\nWith ${what}:`);
    await run("sha.ts", "--redis", url, "--rounds", String(rounds));
  }
  await run("flags.ts", "--redis", url, "--dest", `${folder}/flags/`);
  if (!keep) return;
  console.log(`\nThe cluster stays up until Ctrl-C: ${url}`);
  await new Promise<void>((resolve) => Deno.addSignalListener("SIGINT", resolve));
}

export const COMMAND = commandLine({
  about: "Start a Redis server and two nodes on this machine, and run the sha and the flags example on them.",
  command: "deno run -A examples/cluster/start.ts",
  example: "--rounds 50",
  options: {
    keep: { short: "k", text: "leave the server and the nodes running until Ctrl-C" },
    rounds: rounds("MiB that each job hashes"),
  },
});

if (import.meta.main) await main();
