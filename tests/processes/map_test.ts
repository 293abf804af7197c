/** {@linkcode ProcessPoolExecutor}: a `map()` whose items end their process. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { BrokenProcessPool, ProcessPoolExecutor } from "@concurrent/futures";
import { range } from "../behaviour/map.ts";
import { killSelfAt } from "../fixtures/crash_tasks.ts";
import { square } from "../fixtures/tasks.ts";
import { readUntilError, test, within } from "../_helpers.ts";

const settled = true;

test("ProcessPoolExecutor.map() with settled: true rejects the items of a process that dies, and goes on", async () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash: "replace" });
  for (const [options, lost] of [[{ chunksize: 1 }, [5]], [{ chunksize: 3 }, [3, 4, 5]]] as const) {
    for (const blocking of [true, false]) {
      const results = pool.map(killSelfAt, range(10), Array(10).fill(5), { ...options, settled });
      const { seen, error } = await within(readUntilError(results, blocking));
      assertEquals([seen.length, error], [10, "no error"]);
      const rejected = range(10).filter((n) => seen[n].status === "rejected");
      assertEquals(rejected, [...lost], "the items of its chunk have no result");
      for (const n of rejected) assertInstanceOf((seen[n] as PromiseRejectedResult).reason, BrokenProcessPool);
      for (const n of range(3)) assertEquals(seen[n], { status: "fulfilled", value: n * n });
    }
  }
  assertEquals(await pool.submit(square, 3), 9);
});

test("ProcessPoolExecutor.map() with settled: true rejects each item of a pool that breaks", async () => {
  for (const ordered of [true, false]) {
    for (const blocking of [true, false]) {
      using pool = new ProcessPoolExecutor(1);
      const results = pool.map(killSelfAt, range(9), Array(9).fill(4), { chunksize: 1, ordered, settled });
      const { seen, error } = await within(readUntilError(results, blocking));
      assertEquals([seen.length, error], [9, "no error"]);
      assertEquals(seen.map(({ status }) => status).sort(), [
        ...Array(4).fill("fulfilled"),
        ...Array(5).fill("rejected"),
      ]);
      // Where more would have to be submitted, it ends.
      const endless = {
        *[Symbol.iterator]() {
          for (;;) yield 1;
        },
      };
      using other = new ProcessPoolExecutor(1);
      const ending = other.map(killSelfAt, endless, endless, { buffersize: 3, ordered, settled });
      const rest = await within(readUntilError(ending, blocking));
      assert(rest.seen.length >= 3 && rest.seen.every(({ status }) => status === "rejected"));
      assertInstanceOf(rest.error, BrokenProcessPool);
    }
  }
});
