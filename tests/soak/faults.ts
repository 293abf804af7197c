/** Scenarios: tasks that end their worker, and processes that are killed, among many tasks that must not notice. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { BrokenProcessPool, type Future, ProcessPoolExecutor, TaskExitError, waitSync } from "@concurrent/futures";
import { BOUND, Ledger, type Random, until, within } from "../_helpers.ts";
import type { Kind } from "../behaviour/kind.ts";
import { kind as processPool } from "../fixtures/kinds/process_pool.ts";
import { kind as threadPool } from "../fixtures/kinds/thread_pool.ts";
import { closeSelf, exitInTimer, exitLater, exitWith } from "../fixtures/tasks.ts";
import { type Counted, type Scenario, workersFor } from "./_scenario.ts";
import { hash, killOwnProcess, waitToBeKilled, work, workLonger } from "./_tasks.ts";

/** The fault scenarios. */
export const FAULTS: Scenario[] = [
  ...[threadPool, processPool].map((kind): Scenario => ({
    name: `${kind.name}: tasks that exit at random fail with TaskExitError, and no others do`,
    size: 100,
    fullSize: 20_000,
    run: (size, random) => exits(kind, size, random),
  })),
  {
    name: `${processPool.name} {replace}: of processes killed at random each fails the task that it runs, and no other`,
    size: 250,
    fullSize: 20_000,
    run: kills,
  },
];

// ---- exits --------------------------------------------------------------------------------------------------------

/** Each task knows whether it exits, and by which code: so what becomes of each is known exactly. */
async function exits(kind: Kind, size: number, random: Random): Promise<Counted> {
  const pool = kind.make({ maxWorkers: workersFor(size, 50) });
  const expected: { future: Future<unknown>; exitCode?: number }[] = [];
  for (let i = 0; i < size; i++) {
    if (random.below(10) > 0) {
      expected.push({ future: pool.submit(hash, i) });
      continue;
    }
    const exitCode = random.below(256);
    const submit = random.of([
      () => ({ future: pool.submit(exitWith, exitCode), exitCode }),
      () => ({ future: pool.submit(exitLater, exitCode), exitCode }),
      () => ({ future: pool.submit(exitInTimer, exitCode), exitCode }),
      () => ({ future: pool.submit(closeSelf), exitCode: 0 }),
    ]);
    expected.push(submit());
  }
  const outcomes = await within(Promise.allSettled(expected.map(({ future }) => future)), `${size} tasks`, 6 * BOUND);
  let failed = 0;
  for (const [i, outcome] of outcomes.entries()) {
    const { exitCode } = expected[i];
    if (exitCode === undefined) assertEquals(outcome, { status: "fulfilled", value: hash(i) }, `task ${i}`);
    else {
      assert(outcome.status === "rejected", `task ${i} has exited, and returned`);
      assertInstanceOf(outcome.reason, TaskExitError, `task ${i}: ${Deno.inspect(outcome.reason)}`);
      assertEquals(outcome.reason.exitCode, exitCode, `task ${i}`);
      failed++;
    }
  }
  await within(pool.shutdown(), "shutdown()");
  return { tasks: size, more: `${failed} exits` };
}

// ---- kills --------------------------------------------------------------------------------------------------------

/**
 * Processes die in four ways:
 * - by a task that kills its own, or by a kill from here of one that a task is known to hold. Such a task never
 *   returns: so each of these fails exactly one future, which is known in advance.
 * - by a kill from here of one that has nothing to do, just before more tasks are submitted. It must fail none,
 *   although the pool cannot know of it when it gives the next task away.
 * - by a kill from here of one that may be doing anything. It must fail the task that the process has begun and not
 *   answered, if there is one.
 *
 * What the last kind has hit is told by the lines that each task writes when it begins and when it ends. If the last
 * line of the process says that a task begins, exactly that one must have failed. If it says that one ends, that task
 * may have failed, as its answer may not have left; or the next one, killed between its announcement to the pool and
 * its first line; or none. Any that fails says which process it was, and no two say the same one.
 *
 * What a dead process was given and has not begun is run by another one: so no task begins twice, and each that has not
 * failed has begun and ended once. The pool gives such a task away again only once, since it might be what kills them.
 * So a burst of tasks sees at most one kill of the last two kinds, and is settled before the next one. (What kills its
 * own process, or holds it, has begun: it was not spared.)
 */
async function kills(size: number, random: Random): Promise<Counted> {
  const pool = new ProcessPoolExecutor({ maxWorkers: 4, onWorkerCrash: "replace" });
  const ledger = new Ledger();
  const tasks: Doomed[] = [];
  const killed: Killed = { idle: new Set(), any: new Set() };
  while (tasks.length < size) {
    const held = new Ledger();
    const killsIdle = random.below(2) === 0;
    if (killsIdle) killIdleOne(tasks, killed);
    const burst: Doomed[] = [];
    for (let left = Math.min(size - tasks.length, 50 + random.below(300)); left > 0; left--) {
      const n = tasks.length + burst.length;
      const draw = random.below(600);
      const [kind, future] = draw < 3
        ? ["kills itself", pool.submit(killOwnProcess, ledger.path, n)] as const
        : draw < 5 && !killsIdle
        ? ["is killed", pool.submit(waitToBeKilled, ledger.path, n, held.path)] as const
        : draw < 40
        ? ["works", pool.submit(workLonger, ledger.path, n, random.below(4))] as const
        : ["works", pool.submit(work, ledger.path, n)] as const;
      burst.push({ n, kind, future });
    }
    tasks.push(...burst);
    if (killsIdle) assertEquals(waitSync(burst.map(({ future }) => future), { timeout: 3 * BOUND }).notDone.size, 0);
    else await Promise.all([killHeld(burst, held), killAnyOne(random.of(burst), killed.any)]);
    await within(Promise.allSettled(burst.map(({ future }) => future)), `${burst.length} tasks`, 3 * BOUND);
  }
  await within(pool.shutdown(), "shutdown()");
  return { tasks: size, more: check(tasks, killed, ledger) };
}

/** The processes that were killed from here, but for those that a task held. */
interface Killed {
  idle: Set<number>;
  any: Set<number>;
}

interface Doomed {
  n: number;
  kind: "works" | "kills itself" | "is killed";
  future: Future<{ value: number; pid: number }>;
}

/** Kills the process that has returned something last, when all tasks are done. */
function killIdleOne(tasks: Doomed[], { idle, any }: Killed): void {
  const died = new Set(tasks.map(({ future }) => (future.exception(0) as BrokenProcessPool | null)?.pid));
  for (const { future } of tasks.toReversed()) {
    const pid = future.exception(0) === null ? future.result(0).pid : undefined;
    if (pid === undefined || died.has(pid) || any.has(pid) || idle.has(pid)) continue;
    assert(kill(pid), `process ${pid} has ended, and nobody knows why`);
    idle.add(pid);
    return;
  }
}

/** Kills the processes that tasks hold, as soon as each says that it does. */
async function killHeld(burst: Doomed[], held: Ledger): Promise<void> {
  const holding = burst.filter(({ kind }) => kind === "is killed");
  for (let count = 0;;) {
    // One that is killed before it could say so needs no other kill.
    await until(
      () => held.lines().length > count || holding.every(({ future }) => future.done()),
      `a task that holds its process (${count} of ${holding.length} did)`,
      3 * BOUND,
    );
    const pids = held.lines().map(Number);
    if (pids.length === count) return;
    for (; count < pids.length; count++) kill(pids[count]);
  }
}

/** When a task is done, kills the process that ran it, whatever it does by then. */
async function killAnyOne({ future }: Doomed, killed: Set<number>): Promise<void> {
  const outcome = await within(future.then((result) => result, () => undefined), "a task", 3 * BOUND);
  if (outcome !== undefined && kill(outcome.pid)) killed.add(outcome.pid);
}

/** Whether there was such a process. */
function kill(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGKILL");
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Compares what became of each task with what it has written, and tells how many processes died. */
function check(tasks: Doomed[], killed: Killed, ledger: Ledger): string {
  const begun = new Map<number, number>();
  const ended = new Set<number>();
  /** The task of each process's last line, and whether it ends there. */
  const last = new Map<number, { n: number; ends: boolean }>();
  for (const line of ledger.lines()) {
    const [n, pid, what] = line.split(" ");
    if (what === "ends") ended.add(Number(n));
    else {
      assert(!begun.has(Number(n)), `task ${n} has begun twice`);
      begun.set(Number(n), Number(pid));
    }
    last.set(Number(pid), { n: Number(n), ends: what === "ends" });
  }
  /** Which task each death has failed. */
  const failures = new Map<number, number>();
  for (const { n, kind, future } of tasks) {
    const error = future.exception(0);
    if (error === null) {
      const { value, pid } = future.result(0);
      assertEquals([kind, value, pid, ended.has(n)], ["works", hash(n), begun.get(n), true], `task ${n}`);
      continue;
    }
    assertInstanceOf(error, BrokenProcessPool, `task ${n}: ${Deno.inspect(error)}`);
    const pid = error.pid!;
    assertEquals(error.signal, "SIGKILL", error.message);
    assert(!failures.has(pid), `the death of ${pid} fails both task ${failures.get(pid)} and task ${n}`);
    failures.set(pid, n);
    if (begun.has(n)) assertEquals(pid, begun.get(n), `task ${n} fails with the process that ran it`);
    assert(!killed.idle.has(pid), `task ${n} fails with ${pid}, which was killed while it was idle`);
    // Only a kill at any moment can come before the first line, or hit a task that does not die by itself.
    if (kind === "works" || !begun.has(n)) assert(killed.any.has(pid), `task ${n} fails with ${pid}: who killed it?`);
  }
  for (const pid of killed.any) {
    const { n, ends } = last.get(pid)!;
    if (!ends) assertEquals(failures.get(pid), n, `${pid} was killed while it ran task ${n}`);
  }
  const certain = tasks.filter(({ kind }) => kind !== "works").length;
  const hits = tasks.filter(({ kind, future }) => kind === "works" && future.exception(0) !== null).length;
  assertEquals(failures.size, certain + hits);
  const { any, idle } = killed;
  return `${failures.size} failed: ${certain} had to, ${hits} by ${any.size} random kills, 0 by ${idle.size} idle ones`;
}
