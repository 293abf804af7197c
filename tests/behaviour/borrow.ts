/**
 * Pools that the tests of a kind share. To start workers takes a test a tenth of a second of CPU or more, and most of
 * them only want some function called elsewhere.
 */
import type { Executor } from "@concurrent/futures";
import { Gate, restoreAfterFailure, shareWhatLives, within } from "../_helpers.ts";
import { passGate } from "../fixtures/tasks.ts";
import type { Kind } from "./kind.ts";

/** By the number of their workers. */
const pools = new Map<number, Executor>();

/**
 * A pool of so many workers. It is for tests that see all their tasks end, and whose tasks leave their worker as they
 * found it: neither a test that looks at how a pool starts or ends, nor one that bounds a time.
 */
export function borrow({ make, isRemote = false }: Kind, maxWorkers: 1 | 2): Executor {
  return isRemote ? make({ maxWorkers }) : pools.get(maxWorkers)!;
}

/** Starts the pools before the first test, and ends them after the last one. */
export function lendPools(kind: Kind): void {
  Deno.test.beforeAll(() => start(kind));
  Deno.test.afterAll(async () => {
    for (const pool of pools.values()) await pool.shutdown();
  });
  // They may be what hangs.
  restoreAfterFailure(() => start(kind));
}

async function start({ make }: Kind): Promise<void> {
  for (const maxWorkers of [1, 2]) {
    const pool = make({ maxWorkers });
    // Where a test is `using` it.
    Object.defineProperty(pool, Symbol.dispose, { value() {} });
    using gate = new Gate();
    const held = Array.from({ length: maxWorkers }, () => pool.submit(passGate, gate.path));
    await gate.arrived(maxWorkers);
    gate.open();
    await within(Promise.all(held));
    pools.set(maxWorkers, pool);
  }
  shareWhatLives();
}
