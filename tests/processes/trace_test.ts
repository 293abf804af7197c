/** What `stats()` and `trace()` tell of processes that die, and of those that say what cannot be. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { BrokenProcessPool, ProcessPoolExecutor, type TracedTask } from "@concurrent/futures";
import { test, within } from "../_helpers.ts";
import { claimTimes, FORGED } from "../fixtures/hostile_tasks.ts";
import { pid } from "../fixtures/process_tasks.ts";
import { echo, square } from "../fixtures/tasks.ts";

/** Ends the process that runs it. */
function die(): void {
  Deno.kill(Deno.pid, "SIGKILL");
  for (;;);
}

test("ProcessPoolExecutor.trace() shows a task that was lost with its process, and who took its place", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash: "replace" });
  using trace = pool.trace();
  const first = await within(pool.submit(pid));
  assertInstanceOf(await within(pool.submit(die).catch((error) => error)), BrokenProcessPool);
  assert(await within(pool.submit(pid)) !== first);
  assertInstanceOf(await within(pool.submit(die).catch((error) => error)), BrokenProcessPool);
  const { traceEvents } = trace.toJSON();
  const bars = traceEvents.filter(({ ph }) => ph === "X");
  assertEquals(
    bars.map(({ name, tid, args }) => [name, tid, (args as TracedTask).outcome]),
    [["pid", 1, "returned"], ["die", 1, "stopped"], ["pid", 2, "returned"], ["die", 2, "stopped"]],
  );
  assert(bars.every(({ ts, dur }) => ts! >= 0 && dur! > 0));
  const rows = traceEvents.filter(({ name }) => name === "thread_name").map(({ args }) =>
    (args as { name: string }).name
  );
  assertEquals(rows.map((row) => row.replace(/-[0-9]+_/, "-n_")), [
    "ProcessPoolExecutor-n_0",
    "ProcessPoolExecutor-n_1",
  ]);
  const { done, failed, restarts } = pool.stats();
  assertEquals({ done, failed, restarts }, { done: 2, failed: 2, restarts: 1 });
});

test("ProcessPoolExecutor.stats() and trace() believe no times of a process that cannot be", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  using trace = pool.trace();
  const now = performance.timeOrigin + performance.now();
  const claims: [unknown, unknown][] = [
    [now, -5],
    [now, 1e300],
    [1e300, 1],
    [0, 1],
    [null, null],
    ["1", "2"],
    [now + 1e7, 1],
    [{}, []],
  ];
  for (const [began, ms] of claims) {
    assertEquals(await within(pool.submit(claimTimes, began, ms)), FORGED);
    assertEquals(await within(pool.submit(square, 3)), 9);
  }
  const elapsed = performance.timeOrigin + performance.now() - now;
  const { runTime, waitTime } = pool.stats();
  for (const ms of [...Object.values(runTime), ...Object.values(waitTime)]) {
    assert(ms >= 0 && ms <= elapsed + 1_000, `${ms} of ${elapsed}`);
  }
  for (const { ph, ts = 0, dur = 0 } of trace.toJSON().traceEvents) {
    assert(ph === "M" || (ts >= 0 && dur >= 0 && ts + dur <= (elapsed + 1_000) * 1_000), `${ts} ${dur}`);
  }
  assertEquals(await within(pool.submit(echo, "after")), "after");
});
