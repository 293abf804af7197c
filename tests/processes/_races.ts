/** Races of stops, some rounds of which are tests; `deno task soak` has many more. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type Future, type ProcessPoolExecutor, TimeoutError } from "@concurrent/futures";
import { Border, BOUND, Ledger, untilSync, within } from "../_helpers.ts";
import { pid } from "../fixtures/process_tasks.ts";
import { compute, record, square } from "../fixtures/tasks.ts";

/**
 * Has a pool of one process kill it at about the moment at which its task ends, so many times, and as long as that has
 * not come before and after: no other task may fail.
 */
export async function killAtEnds(pool: ProcessPoolExecutor, rounds: number): Promise<void> {
  let process = await within(pool.submit(pid));
  const outcomes = { killed: 0, kept: 0 };
  const border = new Border(4);
  for (let i = 0; i < rounds || (i < 25 && Math.min(outcomes.killed, outcomes.kept) === 0); i++) {
    const timeout = 6 + border.later;
    // Before, after, or with its result on the way.
    const future: Future<number> = pool.with({ timeout, grace: 2 }).submit(compute, 6 + border.ms);
    const behind = [1, 2, 3].map((n) => pool.submit(square, n));
    const error = future.exception(BOUND);
    assertEquals(await within(Promise.all(behind)), [1, 4, 9]);
    const last = process;
    process = await within(pool.submit(pid));
    const isKilled = process !== last;
    // It may have ended before anybody has looked at the clock.
    if (error !== null) assertInstanceOf(error, TimeoutError);
    else assert(!isKilled, "a task has its result, and its process was killed");
    outcomes[isKilled ? "killed" : "kept"]++;
    border.note(isKilled);
  }
  assert(outcomes.killed > 0 && outcomes.kept > 0, JSON.stringify(outcomes));
}

/** Aborts each second one of 40 tasks as soon as it has begun, so many times: each of the others has to run once. */
export async function abortAtBegins(pool: ProcessPoolExecutor, rounds: number): Promise<void> {
  await within(Promise.all(Array.from({ length: 500 }, (_, i) => pool.submit(compute, 0.1 * (i % 2)))));
  for (let round = 0; round < rounds; round++) {
    const ledger = new Ledger();
    const futures = Array.from({ length: 40 }, (_, i) => pool.submit(record<number>, ledger.path, i));
    const aborted = new Set<number>();
    for (let i = 0; i < futures.length; i++) {
      untilSync(() => futures[i].running() || futures[i].done(), "its begin", 2_000);
      if (i % 2 === 0 && futures[i].abort()) aborted.add(i);
    }
    const outcomes = await within(Promise.allSettled(futures));
    for (const [i, { status }] of outcomes.entries()) {
      assertEquals(status, aborted.has(i) ? "rejected" : "fulfilled", `${i} of round ${round}`);
    }
    const lines = ledger.numbers();
    assertEquals(lines, [...new Set(lines)], "each once");
    for (const i of futures.keys()) assert(aborted.has(i) || lines.includes(i), `${i} has not run`);
  }
}
