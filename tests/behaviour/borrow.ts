/**
 * Pools that the tests of a kind share. To start workers takes a test a tenth of a second of CPU or more, and most of
 * them only want some function called elsewhere.
 */
import { assertEquals } from "@std/assert";
import type { Executor, Future } from "@concurrent/futures";
import { Gate, restoreAfterFailure, shareWhatLives, until, within } from "../_helpers.ts";
import { passGate } from "../fixtures/tasks.ts";
import type { CommonOptions, Kind, Watched } from "./kind.ts";

/** A pool of a kind, with some options. */
export type Lent = Executor & Watched;

/** What a shared pool is made with: workers that begin alike, so that a test cannot tell it from one of its own. */
type LentOptions = Pick<CommonOptions, "maxQueued"> & { maxWorkers: 1 | 2 };

/** Each kind's, by their options. */
const pools = new Map<Kind, Map<string, Lent>>();

/** Which of them there are to be. */
const wanted = new Map<Kind, Map<string, LentOptions>>();

/** What names the workers and processes of each kind that still live. */
const living = new Map<Kind, () => string[]>();

/** Those that others have taken the place of: when they are collected, something of theirs ends during some test. */
const replaced: Executor[] = [];

/**
 * A pool of so many workers. It is for tests that see all their tasks end, and whose tasks leave their worker as they
 * found it: neither a test that looks at how a pool starts or ends, nor one that measures how late a timer is.
 */
export function borrow(kind: Kind, maxWorkers: 1 | 2): Lent {
  return pools.get(kind)!.get(keyOf({ maxWorkers }))!;
}

/**
 * The same for a pool with other options. The tests that are being registered say here what they will want, since a
 * pool that starts within a test is something that this test leaves behind.
 *
 * @returns What gives them the pool when they run.
 */
export function lend(kind: Kind, options: LentOptions): () => Lent {
  const key = keyOf(options);
  wantedOf(kind).set(key, options);
  return () => pools.get(kind)!.get(key)!;
}

/** Starts the pools before the first test, and ends them after the last one: then nothing of them may be left. */
export function lendPools(kind: Kind): void {
  for (const maxWorkers of [1, 2] as const) lend(kind, { maxWorkers });
  Deno.test.beforeAll(() => start(kind));
  Deno.test.afterAll(async () => {
    // There are none where they could not start, which is then what is told.
    for (const pool of pools.get(kind)?.values() ?? []) await within(pool.shutdown(), "shutdown() of a shared pool");
    const left = living.get(kind) ?? (() => []);
    await until(() => left().length === 0, "the end of what shared pools have started").catch(() => {});
    assertEquals(left(), [], "these outlive the pools that tests share");
  });
  // They may be what hangs.
  restoreAfterFailure(() => start(kind));
}

function wantedOf(kind: Kind): Map<string, LentOptions> {
  if (!wanted.has(kind)) wanted.set(kind, new Map());
  return wanted.get(kind)!;
}

function keyOf({ maxWorkers, maxQueued }: LentOptions): string {
  return `${maxWorkers} ${maxQueued}`;
}

async function start(kind: Kind): Promise<void> {
  const started = new Map<string, Lent>();
  for (const [key, options] of wantedOf(kind)) {
    const pool = kind.make(options);
    // Where a test is `using` it.
    Object.defineProperty(pool, Symbol.dispose, { value() {} });
    using gate = new Gate();
    const held: Future<unknown>[] = [];
    for (let i = 0; i < options.maxWorkers; i++) {
      await within(pool.ready());
      held.push(pool.submit(passGate, gate.path));
    }
    await gate.arrived(options.maxWorkers);
    gate.open();
    await within(Promise.all(held));
    started.set(key, pool);
  }
  replaced.push(...pools.get(kind)?.values() ?? []);
  pools.set(kind, started);
  living.set(kind, shareWhatLives());
}
