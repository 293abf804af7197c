/**
 * Pools that the tests of a file share: to start one of its own costs a test a thread for the broker, and its
 * processes.
 */
import { ProcessPoolExecutor, type ProcessPoolExecutorOptions } from "@concurrent/futures";
import {
  childProcesses,
  Gate,
  rejectionOf,
  restoreAfterFailure,
  share,
  shareWhatLives,
  until,
  within,
} from "../_helpers.ts";
import { loopForever } from "../fixtures/control_tasks.ts";
import { echo, passGate } from "../fixtures/tasks.ts";

/** How many processes all lent pools may have. */
let room = 0;

/**
 * Starts a pool and all its processes before the first test and ends it after the last one; what is returned gives it
 * to a test, which leaves the processes as it found them.
 */
export function lend(options: ProcessPoolExecutorOptions & { maxWorkers: number }): () => ProcessPoolExecutor {
  let lent: ProcessPoolExecutor;
  const start = async () => {
    lent = new ProcessPoolExecutor(options);
    if (options.maxWorkers === 1) await within(lent.submit(echo, 1));
    else {
      using gate = new Gate();
      const held = Array.from({ length: options.maxWorkers }, () => lent.submit(passGate, gate.path));
      await gate.arrived(options.maxWorkers);
      gate.open();
      await within(Promise.all(held));
    }
    shareWhatLives();
  };
  room += options.maxWorkers;
  Deno.test.beforeAll(start);
  Deno.test.afterAll(() => lent.shutdown());
  restoreAfterFailure(start);
  return () => lent;
}

/** As {@linkcode lend}, a pool of two processes that replaces those that die. */
export function lendReplacing(): () => ProcessPoolExecutor {
  return lend({ maxWorkers: 2, onWorkerCrash: "replace" });
}

/**
 * To be called at the end of a test in which a process has died: the one in its place stays for the next test. What
 * lives besides has been left behind.
 */
export async function keepReplaced(): Promise<void> {
  const living = () => childProcesses({ all: true })?.length ?? 0;
  await until(() => living() <= room, "no more processes than lent pools may have", 2_000);
  for (const pid of childProcesses() ?? []) share(Number(pid));
}

/**
 * As {@linkcode lend}, a pool of one process that a test gets without it, and leaves so: its first task is then the
 * first one of a process.
 */
export function lendEmpty(onWorkerCrash: "break" | "replace"): () => Promise<Emptied> {
  const lent = lend({ maxWorkers: 1, onWorkerCrash });
  return async () => {
    await empty(lent());
    return { pool: lent(), [Symbol.asyncDispose]: () => empty(lent()) };
  };
}

/** A pool without a process, which it loses again at the end of the block. */
export interface Emptied extends AsyncDisposable {
  readonly pool: ProcessPoolExecutor;
}

/** Ends the process of a pool of one by a task that is stopped: that breaks no pool. */
async function empty(pool: ProcessPoolExecutor): Promise<void> {
  if (pool.stats().workers === 0) return;
  // Its time begins with it: one that is aborted just before that is taken back, and ends nothing.
  await rejectionOf(pool.with({ timeout: 1, grace: 0 }).submit(loopForever));
  await until(() => pool.stats().workers === 0, "the end of its process");
}
