/**
 * Pools that the tests of a kind share. To start workers takes a test a tenth of a second of CPU or more, and most of
 * them only want some function called elsewhere.
 */
import type { Executor } from "@concurrent/futures";
import { Gate, restoreAfterFailure, shareWhatLives, within } from "../_helpers.ts";
import { passGate } from "../fixtures/tasks.ts";
import type { Kind } from "./kind.ts";

/** Each kind's, of one worker and of two. */
const pools = new Map<Kind, Executor[]>();

/** Those that others have taken the place of: when they are collected, something of theirs ends during some test. */
const replaced: Executor[] = [];

/**
 * A pool of so many workers. It is for tests that see all their tasks end, and whose tasks leave their worker as they
 * found it: neither a test that looks at how a pool starts or ends, nor one that measures how late a timer is.
 */
export function borrow(kind: Kind, maxWorkers: 1 | 2): Executor {
  return pools.get(kind)![maxWorkers - 1];
}

/** Starts the pools before the first test, and ends them after the last one. */
export function lendPools(kind: Kind): void {
  Deno.test.beforeAll(() => start(kind));
  Deno.test.afterAll(async () => {
    for (const pool of pools.get(kind)!) await pool.shutdown();
  });
  // They may be what hangs.
  restoreAfterFailure(() => start(kind));
}

async function start(kind: Kind): Promise<void> {
  const started = [];
  for (const maxWorkers of [1, 2]) {
    const pool = kind.make({ maxWorkers });
    // Where a test is `using` it.
    Object.defineProperty(pool, Symbol.dispose, { value() {} });
    using gate = new Gate();
    const held = Array.from({ length: maxWorkers }, () => pool.submit(passGate, gate.path));
    await gate.arrived(maxWorkers);
    gate.open();
    await within(Promise.all(held));
    started.push(pool);
  }
  replaced.push(...pools.get(kind) ?? []);
  pools.set(kind, started);
  shareWhatLives();
}
