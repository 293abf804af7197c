/** Nodes that cannot do all that others can: without a Deno to run, with few permissions, or with older modules. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import { BrokenProcessPool, TaskNotFoundError, taskRef } from "@concurrent/futures";
import { bothFail, Gate, temporaryPath, within } from "../_helpers.ts";
import { killSelf } from "../fixtures/crash_tasks.ts";
import { passGate, square } from "../fixtures/tasks.ts";
import * as lookup from "../fixtures/lookup.ts";
import { clusterTest, nodeModules, runNode, untilServer } from "./_kit.ts";

/** A command that starts Deno, until it is removed. */
function makeDeno(): { path: string; remove(): void } {
  const path = temporaryPath("deno");
  Deno.writeTextFileSync(path, `#!/bin/sh\nexec '${Deno.execPath()}' "$@"\n`, { mode: 0o755 });
  return { path, remove: () => Deno.removeSync(path) };
}

const PRELOAD = `--preload=${import.meta.resolve("../fixtures/missing_deno.ts")}`;

clusterTest(
  "node: one that can start no process any more gives its jobs back and ends with code 1",
  async ({ make, startNode, launchNode }) => {
    const deno = makeDeno();
    const modules = nodeModules({ tasks: "tasks.ts", crash_tasks: "crash_tasks.ts" });
    const node = await launchNode(["--workers", "1", "--lock", "1000", ...modules], {
      flags: [PRELOAD],
      env: { TEST_DENO: deno.path },
    });
    await using pool = make();
    assertEquals(await within(pool.submit(square, 2)), 4);
    deno.remove();
    await bothFail(pool.submit(killSelf, "SIGKILL"), (error) => assertInstanceOf(error, BrokenProcessPool));
    const futures = Array.from({ length: 20 }, (_, i) => pool.submit(square, i));
    const { code, stderr } = await within(node.ended(), "the node's end", 20_000);
    assertEquals(code, 1, stderr);
    assertStringIncludes(stderr, "Cannot run tasks any more");
    assert(futures.some((future) => !future.done()));
    await startNode(1, { lock: 1_000 });
    assertEquals(await within(Promise.all(futures), "all", 20_000), futures.map((_, i) => i * i));
    assertEquals([...new Set(futures.map(({ attempts }) => attempts))], [1]);
  },
);

clusterTest(
  "node: tasks of a module that imports others by a relative path run also with --permissions none",
  async ({ make, launchNode }) => {
    await launchNode(["--workers", "1", "--permissions", "none", ...nodeModules({ reexport: "reexport.ts" })]);
    await using pool = make();
    const scaledAgain = taskRef<(n: number) => number>(import.meta.resolve("../fixtures/reexport.ts"), "scaledAgain");
    assertEquals(await within(pool.submit(scaledAgain, 3)), lookup.scaled(3));
  },
);

clusterTest(
  "node: a module that cannot be loaded with the --permissions of the processes is told before it takes jobs",
  async ({ server, queue }) => {
    const args = ["--permissions", "none", ...nodeModules({ imports_reader: "imports_reader.ts" })];
    const { code, stdout, stderr } = await within(
      runNode("--redis", server.url, "--queue", queue, "--workers", "1", ...args),
      "the node's end",
      20_000,
    );
    assertEquals([code, stdout], [1, ""], stderr);
    assertMatch(stderr, /Cannot load the module imports_reader in a process with its --permissions.*NotCapable/);
  },
);

/** For a node that has an older version of the module `tasks`, without most functions. */
const OLDER = { modules: { tasks: "data:text/javascript,export function other() {}" } };

clusterTest(
  "cluster: while a new version comes into use, nodes that lack a function leave its tasks to those that have it",
  async ({ make, startNode, server, queue }) => {
    await Promise.all([startNode(1, OLDER), startNode(1, OLDER)]);
    const newer = await startNode(1);
    await using pool = make();
    await using client = server.connect();
    using gate = new Gate();
    const held = pool.submit(passGate, gate.path);
    await gate.arrived();
    const waiting = pool.submit(square, 7);
    const cancelled = pool.submit(square, 8);
    // The nodes that are idle try it again and again, but not often.
    const begins = performance.now();
    const job = () => client.keys(`bull:${queue}:*-2`).then(([key]) => client.hget(key, "ats"));
    await untilServer(async () => Number(await job() ?? 0) >= 4, "the nodes try", 20_000);
    assert(performance.now() - begins > 100, `four times in ${performance.now() - begins} ms`);
    assertEquals([waiting.done(), cancelled.cancel()], [false, true]);
    gate.open();
    await within(held);
    assertEquals(await within(waiting, "what has waited", 20_000), 49);
    for (const attempts of [1, 3]) {
      await using many = make({ attempts });
      const futures = Array.from({ length: 12 }, (_, i) => many.submit(square, i));
      assertEquals(await within(Promise.all(futures), "all", 20_000), futures.map((_, i) => i * i));
    }
    await newer[Symbol.asyncDispose]();
    await bothFail(pool.submit(square, 9), (error) => {
      assertInstanceOf(error, TaskNotFoundError);
      assertMatch(
        (error as Error).message,
        /has no function square in tasks, and no other node has it\. To fix it.*tasks \(other\)$/,
      );
    });
  },
);
