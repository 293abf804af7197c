/** How programs end that use the pool of `./parallel`, and tasks that use it themselves. */
import { assert, assertEquals } from "@std/assert";
import { bestOf, runProgram, test } from "../_helpers.ts";

/** What a program told, and how long after that it ended, in milliseconds. */
async function told(way: string): Promise<{ lines: string[]; late: number }> {
  const { code, stdout, stderr, at } = await runProgram("parallel.ts", [way]);
  assertEquals([code, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n").map((line) => line.split(" "));
  const late = at - Math.max(...lines.map(([time]) => Number(time)));
  return { lines: lines.map(([, what]) => what), late };
}

for (
  const [way, what, ...lines] of [
    ["blocked", "that blocks for its result", "task", "task", "end"],
    ["awaited", "that awaits its results", "task", "task", "end"],
    ["map", "that loops over its results", "a", "b", "end"],
    ["parallel", "with a call that nobody waits for", "end", "task"],
    ["invokeAll", "with tasks of invokeAll() that nobody waits for", "end", "task", "task"],
    ["invokeAny", "with a task of invokeAny() that nobody waits for", "end", "task"],
    ["parallelize", "with a loop that nobody reads", "end", "task", "task"],
  ]
) {
  test(`the pool of parallel(): a program ${what} runs all and ends by itself in 250 ms`, async () => {
    await bestOf(3, async () => {
      const seen = await told(way);
      assertEquals(seen.lines.toSorted(), lines.toSorted());
      assert(seen.late <= 250, `the program ended ${seen.late} ms after its last result`);
    });
  });
}

test("invokeAll() with a timeout ends its tasks, and so the program, also when nobody waits for it", async () => {
  const { lines, late } = await told("timeout");
  assertEquals(lines, ["end"]);
  assert(late < 10_000, `the program ended ${late} ms after its last line`);
});

test("parallel() has a new pool after one that broke, which nobody could replace", async () => {
  const { stdout } = await runProgram("parallel.ts", ["broken"], { flags: [] });
  assertEquals(stdout.match(/(?<=^\d+ ).+$/gm), ["BrokenThreadPool", "BrokenThreadPool", "end"]);
});

test("parallel(), parallelize(), invokeAll(), invokeAny() in a task use a pool of that thread", async () => {
  assertEquals((await told("nested")).lines, ["36", "35,35", "end"]);
  // In a child process, too; that ends with the pool, threads or not.
  assertEquals((await told("processes")).lines, ["35", "end"]);
}, { bound: 40_000 });
