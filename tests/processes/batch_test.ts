/** {@linkcode ProcessPoolExecutor}: tasks that a process is given several at once, and those that are taken back. */
import { assert, assertEquals, assertInstanceOf, assertLess, assertStringIncludes } from "@std/assert";
import { BrokenProcessPool, type Future, ProcessPoolExecutor } from "@concurrent/futures";
import { TaskState } from "../../executors/_queue/protocol.ts";
import { TaskQueue } from "../../executors/_queue/task_queue.ts";
import {
  both,
  bothCancelled,
  bothFail,
  BOUND,
  childProcesses,
  Gate,
  Ledger,
  memoryOfNewestPool,
  test,
  until,
  within,
} from "../_helpers.ts";
import { denoThrough } from "../_projects.ts";
import { killItself, passOrReturn, recordOrPass, stopItself } from "../fixtures/process_tasks.ts";
import { keepReplaced, lend, lendReplacing } from "./_replacing.ts";

const lent = lend({ maxWorkers: 2 });
const replacing = lendReplacing();

/** Whether a signal has stopped a process. */
function isStopped(pid: string): boolean {
  return / T /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
}

/** Makes a function's tasks be given many at once: twice as many after each time that was quick. */
async function proveQuick(submit: () => PromiseLike<unknown>): Promise<void> {
  await within(Promise.all(Array.from({ length: 300 }, submit)));
}

test("ProcessPoolExecutor: tasks given at once with one that turns out slow are run by another process", async () => {
  const pool = lent();
  using gate = new Gate();
  await proveQuick(() => pool.submit(passOrReturn<number>, undefined, 0));
  // Both processes have many of them, and one stands at the gate: it waits for what comes after it.
  const futures = Array.from(
    { length: 600 },
    (_, i) => pool.submit(passOrReturn<number>, i === 300 ? gate.path : undefined, i),
  );
  const quick = futures.filter((_, i) => i !== 300);
  await within(Promise.all(quick), "the tasks that were given with the slow one");
  assertEquals(futures[300].state, "RUNNING");
  gate.open();
  for (const [i, future] of futures.entries()) assertEquals(future.result(BOUND), i);
});

test("ProcessPoolExecutor: what waits behind a slow task is pending, and once cancelled never runs", async () => {
  using pool = new ProcessPoolExecutor(1);
  using gate = new Gate();
  const ledger = new Ledger();
  await proveQuick(() => pool.submit(recordOrPass, undefined, undefined, 0));
  const first = pool.submit(recordOrPass, undefined, gate.path, 0);
  const behind = Array.from({ length: 100 }, (_, i) => pool.submit(recordOrPass, ledger.path, undefined, i));
  await gate.arrived();
  assertEquals(behind.some((future) => future.running()), false);
  const cancelled = behind.filter((_, i) => i % 2 === 0);
  for (const future of cancelled) assert(future.cancel());
  gate.open();
  await within(first);
  await within(Promise.all(behind.filter((_, i) => i % 2 === 1)));
  await bothCancelled(cancelled[0]);
  assertEquals(ledger.numbers(), behind.map((_, i) => i).filter((i) => i % 2 === 1));
});

test("ProcessPoolExecutor: of tasks given at once those that cancel() stops never run, and the others do", async () => {
  const pool = lent();
  for (let round = 0; round < 3; round++) {
    const ledger = new Ledger();
    await proveQuick(() => pool.submit(recordOrPass, undefined, undefined, 0));
    const futures = Array.from({ length: 300 }, (_, i) => pool.submit(recordOrPass, ledger.path, undefined, i));
    // From the end, and from the middle, where they are being run.
    const cancelled = new Set(
      [...futures.slice(250).toReversed(), ...futures.slice(round * 20, round * 20 + 60)].filter((f) => f.cancel()),
    );
    await within(Promise.all(futures.filter((future) => !cancelled.has(future))));
    assertEquals(ledger.numbers(), futures.flatMap((future, i) => cancelled.has(future) ? [] : [i]));
  }
});

test("ProcessPoolExecutor {replace}: of tasks given at once only the one fails that killed its process", async () => {
  const pool = replacing();
  for (let round = 0; round < 3; round++) {
    await proveQuick(() => pool.submit(killItself, false, 0));
    const futures = Array.from({ length: 500 }, (_, i) => pool.submit(killItself, i === 250, i));
    const outcomes = await within(Promise.allSettled(futures));
    assertEquals(outcomes.flatMap(({ status }, i) => status === "rejected" ? [i] : []), [250]);
    for (const [i, future] of futures.entries()) if (i !== 250) assertEquals(future.result(0), i);
  }
  await keepReplaced();
});

test(
  "ProcessPoolExecutor {replace}: of tasks given at once with one that stops its process only that one fails",
  async () => {
    using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash: "replace" });
    await proveQuick(() => pool.submit(stopItself, false, 0));
    const { slots } = new TaskQueue(memoryOfNewestPool());
    let futures: Future<number>[];
    for (;;) {
      futures = Array.from({ length: 500 }, (_, i) => pool.submit(stopItself, i === 100, i));
      const [pid] = childProcesses()!;
      await until(() => isStopped(pid), "a process that has stopped itself");
      // Others lie behind that one and are not given back any more, unless the process was slow and has done so before.
      if (slots.includes(TaskState.PREFETCHED)) break;
      Deno.kill(Number(pid), "SIGCONT");
      await within(Promise.all(futures));
    }
    const outcomes = await within(Promise.allSettled(futures));
    assertEquals(outcomes.flatMap(({ status }, i) => status === "rejected" ? [i] : []), [100]);
    await bothFail(futures[100], (error) => {
      assertInstanceOf(error, BrokenProcessPool);
      assertStringIncludes(error.message, "Likely causes: somebody stopped it, ");
    });
    for (const [i, future] of futures.entries()) if (i !== 100) assertEquals(future.result(0), i);
  },
  { linuxOnly: true },
);

/** A child whose input arrives slowly where it is large: some MiB a second, and the end of 16 MiB more slowly still. */
const SLOW_DENO = `
  const [folder, deno, ...args] = Deno.args;
  let passed = 0;
  const child = new Deno.Command(deno, { args, stdin: "piped", stdout: "inherit", stderr: "inherit" }).spawn();
  const input = child.stdin.getWriter();
  for await (const bytes of Deno.stdin.readable) {
    passed += bytes.length;
    if (bytes.length >= 1 << 15) {
      await new Promise((resolve) => setTimeout(resolve, passed > (15 << 20) ? 30 : 10));
      Deno.writeTextFileSync(folder + "/passed", String(passed));
    }
    await input.write(bytes);
  }
  await input.close();`;

test(
  "ProcessPoolExecutor {replace}: tasks given at once with a large one have the time that this takes to arrive",
  async () => {
    const folder = denoThrough(SLOW_DENO);
    using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash: "replace", deno: `${folder}/deno` });
    const lengthOf = (bytes: Uint8Array) => bytes.length;
    await proveQuick(() => pool.submit(lengthOf, new Uint8Array(1)));
    const futures = [16 << 20, ...Array(100).fill(1)].map((size) => pool.submit(lengthOf, new Uint8Array(size)));
    const lengths = await within(Promise.all(futures), "tasks behind a large one", 5 * BOUND);
    assertEquals(lengths, [16 << 20, ...Array(100).fill(1)]);
    assertLess(Number(Deno.readTextFileSync(`${folder}/passed`)), 20 << 20, "the large one was sent once");
  },
  { linuxOnly: true, bound: 90_000 },
);

test("ProcessPoolExecutor {break}: tasks given with one that kills their process have results if done", async () => {
  for (let round = 0; round < 3; round++) {
    using pool = new ProcessPoolExecutor(1);
    await proveQuick(() => pool.submit(killItself, false, 0));
    const futures = Array.from({ length: 200 }, (_, i) => pool.submit(killItself, i === 150, i));
    const outcomes = await within(Promise.allSettled(futures));
    assertEquals(outcomes.map(({ status }) => status === "fulfilled"), futures.map((_, i) => i < 150));
  }
});

test("ProcessPoolExecutor: maxTasksPerChild is kept when tasks are given at once", () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 100 });
  const futures = Array.from({ length: 250 }, () => pool.submit(() => Deno.pid));
  const counts = new Map<number, number>();
  for (const future of futures) counts.set(future.result(BOUND), (counts.get(future.result(0)) ?? 0) + 1);
  assertEquals([...counts.values()], [100, 100, 50]);
});

test("ProcessPoolExecutor: tasks given at once keep their results apart, whatever their size", async () => {
  const pool = lent();
  const size = (i: number) => i % 97 === 0 ? 70_000 : i % 11;
  for (let round = 0; round < 3; round++) {
    const futures = Array.from(
      { length: 1000 },
      (_, i) => pool.submit((text: string, i: number) => `${i}${text}`, "x".repeat(size(i)), i),
    );
    for (const [i, future] of futures.entries()) {
      await both(future, (text) => assertEquals(text.length, `${i}`.length + size(i)));
    }
  }
});

test("ProcessPoolExecutor: a process says what it gives back while it writes a large result", async () => {
  const pool = lent();
  const make = (length: number, ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
    return "x".repeat(length);
  };
  for (let round = 0; round < 5; round++) {
    const lengths = Array.from({ length: 200 }, (_, i) => i % 40 === 20 ? 3_000_000 : i % 10);
    const futures = lengths.map((length, i) => pool.submit(make, length, i % 40 === 20 ? 3.5 : 0));
    for (const [i, future] of futures.entries()) assertEquals((await within(future)).length, lengths[i]);
  }
});
