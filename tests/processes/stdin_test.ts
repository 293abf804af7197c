/** {@linkcode ProcessPoolExecutor}: the standard input is the program's, and tasks that read it fail. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { BrokenProcessPool, ProcessPoolExecutor } from "@concurrent/futures";
import { bothFail, test, within } from "../_helpers.ts";
import { Running } from "../_start.ts";
import { computeFor, pid, pidWith, readStdinAs, readStdinLater, type StdinReader } from "../fixtures/process_tasks.ts";

for (
  const [what, way, seen] of [
    ["Deno.stdin and prompts", "readStdin", {
      readSync: null,
      read: null,
      readable: 0,
      again: 0,
      prompt: null,
      confirm: false,
      terminal: false,
    }],
    ["a Deno.Command", "catStdin", { inherit: "", byDefault: "", outputSync: "", output: "" }],
    ["Deno.spawn()", "catStdinShort", { spawn: "", spawnAndWait: "", spawnAndWaitSync: "" }],
    ["node:process", "readStdinByNode", { stdin: 0 }],
  ] as const
) {
  test(`ProcessPoolExecutor: the standard input is empty for ${what} in a task, not for the program`, async () => {
    await using program = new Running("child_stdin.ts", [way]);
    await program.input("the program's\nown input\n");
    assertEquals(JSON.parse(await within(program.line()) ?? await program.stderr), {
      seen,
      own: "the program's\nown input\n",
      after: 1,
    });
    assertEquals((await within(program.child.status)).code, 0);
    assertEquals(await program.stderr, "");
  });
}

test("ProcessPoolExecutor: the files that stand for the standard input are empty for a task", async () => {
  using pool = new ProcessPoolExecutor(1);
  for (const way of ["openSync", "open", "readFileSync", "readFile", "readTextFileSync", "readTextFile"] as const) {
    for (const path of ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "file:///dev/stdin"]) {
      assertEquals(await within(pool.submit(readStdinAs, way, path)), 0, `${way} ${path}`);
    }
  }
}, { linuxOnly: true });

for (
  const way of ["fs.readFileSync", "fs.readSync", "fs.read", "fs.createReadStream", "a program", "a worker"] as const
) {
  test(
    `ProcessPoolExecutor: a task that reads its input by ${way} fails, nothing waits for it`,
    () => failsAlone(way, "/dev/stdin"),
    { linuxOnly: true },
  );
}

async function failsAlone(way: StdinReader, path: string): Promise<void> {
  // At the same time, as it takes a while until that is noticed.
  const modes = ["break", "replace"] as const;
  const pools = modes.map((onWorkerCrash) => new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash }));
  await using ending = new AsyncDisposableStack();
  for (const pool of pools) ending.defer(() => within(pool.shutdown()));
  for (const pool of pools) ending.defer(() => pool.killWorkers());
  const before = await within(Promise.all(pools.map((pool) => pool.submit(pid))));
  const thieves = pools.map((pool) => pool.submit(readStdinAs, way, path));
  const behind = pools.map((pool) => pool.submit(pid));
  for (const [i, mode] of modes.entries()) {
    await bothFail(thieves[i], (error) => {
      assertInstanceOf(error, BrokenProcessPool, mode);
      assertEquals(error.pid, before[i], mode);
      assertStringIncludes(error.message, "read the standard input", mode);
    });
  }
  await bothFail(behind[0], (error) => assertInstanceOf(error, BrokenProcessPool));
  assert(await within(behind[1]) !== before[1]);
}

test(
  "ProcessPoolExecutor {replace}: a task is run by another process when one before it has left a reader behind",
  async () => {
    // The reader takes one of the next messages, whole or in part.
    const cases = [["", 10], ["", 1 << 16], ["x".repeat(300_000), 1 << 16]] as const;
    await Promise.all(cases.map(async ([argument, length]) => {
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash: "replace" });
      const before = await within(pool.submit(pid));
      await within(pool.submit(readStdinLater, length));
      const replaced = async () => {
        for (let now = before; now === before;) {
          const outcome: unknown = await pool.submit(pidWith, argument).catch((error) => error);
          if (outcome instanceof Error) assertStringIncludes(outcome.message, "read the standard input");
          else now = outcome as number;
        }
      };
      await within(replaced(), "another process");
    }));
  },
  { linuxOnly: true },
);

test("ProcessPoolExecutor: a task that computes for long keeps its process, whatever is sent meanwhile", async () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash: "replace" });
  const before = await within(pool.submit(pid));
  const slow = pool.submit(computeFor, 2_000);
  const large = pool.submit(pidWith, "x".repeat(3_000_000));
  assertEquals([await within(slow), await within(large)], [before, before]);
});
