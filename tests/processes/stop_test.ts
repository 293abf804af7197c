/** Tasks of processes that are stopped: which process is killed for them, and what becomes of the others. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals } from "@std/assert";
import { ProcessPoolExecutor, TimeoutError } from "@concurrent/futures";
import { poolOf } from "../../executors/_owner/executor_core.ts";
import { isAlive } from "../_start.ts";
import { bestOf, BOUND, childProcesses, Gate, Ledger, sleep, spin, test, until, within } from "../_helpers.ts";
import { add, echo, passGate, record, square } from "../fixtures/tasks.ts";
import { denoThrough } from "../_projects.ts";
import { loopForever } from "../fixtures/control_tasks.ts";
import { pid, recordOrPass, stopItself } from "../fixtures/process_tasks.ts";
import { abortAtBegins, killAtEnds } from "./_races.ts";
import { keepReplaced, lend } from "./_replacing.ts";

const CRASHES = ["break", "replace"] as const;

/** Pools of one process: what is stopped breaks none. */
const lent = { break: lend({ maxWorkers: 1 }), replace: lend({ maxWorkers: 1, onWorkerCrash: "replace" }) };

for (const onWorkerCrash of CRASHES) {
  const name = `ProcessPoolExecutor {${onWorkerCrash}}`;

  test(`${name}: an endless loop ends with its process, and nothing else fails`, async () => {
    using pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash });
    using gate = new Gate();
    const other = pool.submit(passGate<string>, gate.path, "the other one");
    await gate.arrived();
    const before = await within(pool.submit(pid));
    const late = pool.with({ timeout: 30, grace: 10 }).submit(loopForever);
    const behind = [1, 2, 3].map((n) => pool.submit(square, n));
    const error = late.exception(BOUND);
    assertInstanceOf(error, TimeoutError);
    assertMatch(error.message, /^Task loopForever was stopped on ProcessPoolExecutor-\d+_\d+, .*: 30 ms$/);
    assertEquals(await within(Promise.all(behind)), [1, 4, 9]);
    const aborted = pool.with({ grace: 10 }).submit(loopForever);
    await until(() => aborted.running(), "its begin");
    const more = [1, 2, 3].map((n) => pool.submit(square, n));
    const reason = new Error("enough");
    assert(aborted.abort(reason));
    assertStrictEquals(aborted.exception(BOUND), reason);
    assertEquals(await within(Promise.all(more)), [1, 4, 9]);
    assert(await within(pool.submit(pid)) !== before, "another process");
    assert(other.running());
    gate.open();
    assertEquals(await within(other), "the other one");
  });

  test(`${name}: tasks that were given with a stopped one run elsewhere, each once`, async () => {
    const pool = lent[onWorkerCrash]();
    for (let round = 0; round < 6; round++) {
      // The pool learns that the function is quick, and gives many at once.
      await within(
        Promise.all(Array.from({ length: 300 }, () => pool.submit(recordOrPass, undefined, undefined, 0))),
      );
      const ledger = new Ledger();
      using gate = new Gate();
      using first = new Gate();
      const held = pool.submit(recordOrPass, undefined, first.path, -1);
      first.arrivedSync();
      const submit = (i: number) => pool.submit(recordOrPass, ledger.path, undefined, i);
      // It is the first of those that are given together, or others come before it.
      const before = Array.from({ length: round % 2 === 0 ? 0 : 20 }, (_, i) => submit(i));
      const isLate = round >= 4;
      const options = { grace: 0, timeout: isLate ? 0 : undefined };
      const stopped = pool.with(options).submit(recordOrPass, undefined, gate.path, -1);
      const behind = Array.from({ length: 40 - before.length }, (_, i) => submit(before.length + i));
      first.open();
      if (!isLate) {
        const end = performance.now() + BOUND;
        // Before the others are taken back, or after that.
        while (!stopped.running() && performance.now() < end);
        spin(round * 3);
        assert(stopped.abort());
      }
      await within(held);
      assertEquals((stopped.exception(BOUND) as Error).name, isLate ? "TimeoutError" : "AbortError");
      await within(Promise.all([...before, ...behind]));
      assertEquals(ledger.numbers(), Array.from({ length: 40 }, (_, i) => i));
    }
    await keepReplaced();
  });

  test(`${name}: a task that was given with a running one is aborted before it begins`, async () => {
    const pool = lent[onWorkerCrash]();
    await within(Promise.all(Array.from({ length: 300 }, (_, i) => pool.submit(echo<number>, i))));
    const ledger = new Ledger();
    using gate = new Gate();
    const futures = Array.from({ length: 20 }, (_, i) => pool.submit(record<number>, ledger.path, i));
    const held = pool.submit(passGate<number>, gate.path, 20);
    const behind = Array.from({ length: 20 }, (_, i) => pool.submit(record<number>, ledger.path, 21 + i));
    await gate.arrived();
    const aborted = behind.filter((future, i) => i % 2 === 0 && future.abort());
    assertEquals(aborted.length, 10);
    for (const future of aborted) assert(future.cancelled(), String(future));
    gate.open();
    await within(Promise.all([...futures, held, ...behind.filter((_, i) => i % 2 === 1)]));
    assertEquals(ledger.numbers().filter((n) => n > 20), Array.from({ length: 10 }, (_, i) => 22 + 2 * i));
  });

  test(`${name}: a process that is killed just when its task ends fails no other task`, async () => {
    const pool = lent[onWorkerCrash]();
    await killAtEnds(pool, 10);
    await keepReplaced();
  });

  test(`${name}: a process that its task has stopped is killed, too, and the tasks behind it run`, async () => {
    const pool = lent[onWorkerCrash]();
    const late = pool.with({ timeout: 30, grace: 0 }).submit(stopItself, true, 1);
    const behind = [1, 2, 3].map((n) => pool.submit(square, n));
    assertInstanceOf(late.exception(BOUND), TimeoutError);
    assertEquals(await within(Promise.all(behind)), [1, 4, 9]);
    const ledger = new Ledger();
    const aborted = pool.with({ grace: 0 }).submit(stopItself, true, 1, ledger.path);
    // Before that it may be taken back, and is cancelled then.
    await until(() => ledger.lines().length > 0, "its begin");
    await sleep(30);
    assert(aborted.abort());
    assertEquals((aborted.exception(BOUND) as Error).name, "AbortError");
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
    await keepReplaced();
  });

  test(`${name}: a process that answers late, as on a busy machine, keeps its other tasks`, async () => {
    const pool = lent[onWorkerCrash]();
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    for (let [place, tries] = [0, 0]; place < 2;) {
      const ledger = new Ledger();
      // The pool learns that the function is quick, and gives some at once.
      await within(
        Promise.all(Array.from({ length: 100 }, () => pool.submit(record, ledger.path, -1))),
        "quick tasks",
        2 * BOUND,
      );
      const process = await within(pool.submit(pid));
      Deno.kill(process, "SIGSTOP");
      try {
        const futures = numbers.map((n) => pool.with({ grace: 0 }).submit(record<number>, ledger.path, n));
        // Where it was stopped before it was idle, or gets one task alone, it is tried again.
        const end = performance.now() + 500;
        while (!futures[0].running() && performance.now() < end) await sleep(1);
        const isAlone = poolOf(pool).describe().includes("prefetched=0");
        const reason = new Error("enough");
        if (!isAlone) {
          assert(futures[place].abort(reason));
          await sleep(1_000);
          assert(isAlive(process), "it was killed, and its tasks with it");
        }
        Deno.kill(process, "SIGCONT");
        const outcomes = await within(Promise.allSettled(futures));
        // A broker that is slow has not given it to the process yet, or has it back: then it is tried again, too.
        const isCancelled = futures[place].cancelled();
        const stopped = isAlone ? -1 : isCancelled ? place : place++;
        for (const [i, outcome] of outcomes.entries()) {
          if (i !== stopped) assertEquals(outcome, { status: "fulfilled", value: i });
          else if (!isCancelled) assertStrictEquals((outcome as PromiseRejectedResult).reason, reason);
        }
        const others = (n: number) => n >= 0 && n !== stopped;
        assertEquals(ledger.numbers().filter(others), numbers.filter(others));
        assert(++tries < 50, "it never gets two at once");
      } finally {
        if (isAlive(process)) Deno.kill(process, "SIGCONT");
      }
    }
    await keepReplaced();
  }, { linuxOnly: true, bound: 60_000 });

  test(`${name}: shutdown() waits for processes that are being stopped, killWorkers() does not`, async () => {
    for (const isKilled of [false, true]) {
      const pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash });
      const [future, other] = [1, 2].map(() => pool.with({ grace: isKilled ? 20_000 : 50 }).submit(loopForever));
      await until(() => future.running() && other.running(), "their begin");
      const reason = new Error("enough");
      assert(future.abort(reason) && other.abort(reason));
      if (isKilled) pool.killWorkers();
      await within(pool.shutdown());
      assertStrictEquals(future.exception(0), reason);
      assertStrictEquals(other.exception(0), reason);
      await until(() => (childProcesses() ?? []).length === 0, "no process is left");
    }
  });
}

test("ProcessPoolExecutor: aborts while children are given the next tasks, and each of those runs", async () => {
  using pool = new ProcessPoolExecutor(2);
  await abortAtBegins(pool, 8);
});

/** A child that gets no input from when the file `hold` is there until `go` is. */
const HOLDING_DENO = `
  const [folder, deno, ...args] = Deno.args;
  const exists = (name) => Array.from(Deno.readDirSync(folder)).some((entry) => entry.name === name);
  const child = new Deno.Command(deno, { args, stdin: "piped", stdout: "inherit", stderr: "inherit" }).spawn();
  const input = child.stdin.getWriter();
  for await (const bytes of Deno.stdin.readable) {
    // A small message before the large one is a question, to which the result of the task before it waits.
    const isHeld = () => bytes.length > 4096 && exists("hold") && !exists("go");
    while (isHeld()) await new Promise((resolve) => setTimeout(resolve, 1));
    await input.write(bytes);
  }
  await input.close();`;

test(
  "ProcessPoolExecutor {break}: a process is not killed before it has said what it has not begun",
  () =>
    bestOf(3, async () => {
      const folder = denoThrough(HOLDING_DENO);
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno: `${folder}/deno` });
      const go = () => Deno.writeTextFileSync(`${folder}/go`, "");
      // Also when this fails: the pool could not end.
      using _go = { [Symbol.dispose]: go };
      await within(
        Promise.all(Array.from({ length: 300 }, () => pool.submit(recordOrPass, undefined, undefined, 0))),
      );
      const ledger = new Ledger();
      using first = new Gate();
      using gate = new Gate();
      const held = pool.submit(recordOrPass, undefined, first.path, -1);
      first.arrivedSync();
      // Larger than a pipe: as long as it is not written, nobody recalls what is given with it because it is late.
      const stopped = pool.with({ grace: 0 }).submit(recordOrPass, undefined, gate.path, -1, "x".repeat(2 << 20));
      const behind = Array.from({ length: 20 }, (_, i) => pool.submit(recordOrPass, ledger.path, undefined, i));
      Deno.writeTextFileSync(`${folder}/hold`, "");
      first.open();
      await within(held);
      await until(() => stopped.running(), "its begin");
      assert(stopped.abort("enough"));
      go();
      assertStrictEquals(stopped.exception(BOUND), "enough");
      await within(Promise.all(behind));
      assertEquals(ledger.numbers(), behind.map((_, i) => i));
    }),
  { linuxOnly: true, bound: 60_000 },
);
