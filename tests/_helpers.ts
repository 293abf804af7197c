/**
 * What every test shares: a `test()` that ends within a bound and leaves no worker behind, and, from the files that it
 * passes on, ways to wait, to look at a future both blocked and awaited, and to know when a task has started.
 */
import { assertEquals } from "@std/assert";
import {
  childProcesses,
  guard,
  liveListeners,
  liveWorkers,
  namesOfWorkers,
  terminateWorkers,
  workerThreads,
} from "./_census.ts";
import { endPrograms } from "./_programs.ts";
import { forgetNoted, sleep, SLOWNESS, until, within } from "./_waiting.ts";

export {
  childProcesses,
  guard,
  liveWorkers,
  memoryOfNewestPool,
  share,
  shareWhatLives,
  shareWorkers,
  startedWorkers,
  workerThreads,
} from "./_census.ts";
export { Border } from "./_border.ts";
export * from "./_gate.ts";
export * from "./_outcomes.ts";
export { type Ended, outputOf, runProgram } from "./_programs.ts";
export { Random } from "./_random.ts";
export { bestOf, BOUND, elapsed, note, pause, sleep, spin, until, untilSync, within } from "./_waiting.ts";

/** Options for {@linkcode test}. */
export interface TestOptions {
  /** The bound of the whole test in milliseconds. */
  bound?: number;
  /** For what only Linux can tell (threads, memory and CPU time in `/proc`): elsewhere the test does not exist. */
  linuxOnly?: boolean;
}

/**
 * How much later than its bound the watchdog ends a test, in milliseconds: it has that time to end what is left, unless
 * this thread is blocked. At the most as long as the bound itself.
 */
const MERCY = 10_000;

/**
 * Registers a test that ends within a bound and must leave no worker, child process, timer, listener or resource
 * behind.
 */
export function test(name: string, fn: () => void | Promise<void>, options: TestOptions = {}): void {
  const { linuxOnly = false } = options;
  const bound = (options.bound ?? 30_000) * SLOWNESS;
  if (linuxOnly && Deno.build.os !== "linux") return;
  Deno.test({
    name,
    sanitizeOps: true,
    sanitizeResources: true,
    sanitizeExit: true,
    fn: async () => {
      using _watchdog = guard(name, bound + Math.min(bound, MERCY));
      await untilNoMore(0); // what the test before left when it failed
      const threadsBefore = workerThreads() ?? 0;
      const listenersBefore = new Set(liveListeners());
      forgetNoted();
      let passed = false;
      try {
        await within(Promise.resolve().then(fn), "the test", bound);
        passed = true;
      } finally {
        if (!passed) await endWhatIsLeft();
      }
      await untilNoMore(threadsBefore);
      const left = namesOfWorkers({ all: false });
      terminateWorkers({ all: false });
      assertEquals(left, [], "these workers were never terminated");
      await until(
        () => (workerThreads() ?? 0) <= threadsBefore,
        "the end of worker threads that outlive the test",
        2_000,
      );
      assertEquals(childProcesses() ?? [], [], "child processes outlive the test");
      const listeners = liveListeners().filter((listener) => !listenersBefore.has(listener));
      assertEquals(listeners, [], "these listeners were never removed");
    },
  });
}

/** After a test that failed, so that the next ones start afresh. */
async function endWhatIsLeft(): Promise<void> {
  terminateWorkers({ all: true });
  await endPrograms();
  for (const restore of restores) await restore();
}

const restores: (() => Promise<void>)[] = [];

/** Says what makes anew something that tests share: all workers are terminated when one of them has failed. */
export function restoreAfterFailure(start: () => Promise<void>): void {
  restores.push(start);
}

/** Gives workers that were told to end a moment to do so. */
async function untilNoMore(threads: number): Promise<void> {
  const end = performance.now() + 2_000;
  while (performance.now() < end) {
    if (liveWorkers() === 0 && (workerThreads() ?? 0) <= threads && (childProcesses() ?? []).length === 0) return;
    if (threads === 0 && liveWorkers() === 0) return;
    await sleep(2);
  }
}
