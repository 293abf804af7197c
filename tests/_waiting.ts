/** Waiting, blocked or awaited, within a bound and with a report of what was alive when it has passed. */
import { fail } from "@std/assert";
import { describeSources } from "../futures/wakeup.ts";
import { untilNextLook } from "./fixtures/tasks.ts";
import { childProcesses, namesOfWorkers, workerThreads } from "./_census.ts";

/** To count what is run makes everything slow, encoding most of all. */
export const SLOWNESS: number = Deno.env.get("DENO_COVERAGE_DIR") === undefined ? 1 : 5;

/** How long one wait may take, in milliseconds, before the test counts as hung. Never reached by a test that passes. */
export const BOUND: number = 10_000 * SLOWNESS;

/** Resolves after `ms` milliseconds. For pauses that are themselves what is tested. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Blocks this thread for `ms` milliseconds. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Computes for `ms` milliseconds without a pause. */
export function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Awaits `promise`, and fails with a report when it takes longer than `ms`. */
export async function within<T>(promise: PromiseLike<T>, what = "a promise", ms: number = BOUND): Promise<Awaited<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not settled after ${ms} ms\n${dump()}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Blocks until `condition` holds, looking every millisecond, and less often when it has taken a while; never yields to
 * the event loop.
 */
export function untilSync(condition: () => boolean, what: string, ms: number = BOUND): void {
  const start = performance.now();
  while (!condition()) {
    const waited = performance.now() - start;
    if (waited > ms) fail(`${what}: not after ${ms} ms\n${dump()}`);
    pause(untilNextLook(waited));
  }
}

/** Waits until `condition` holds, looking every millisecond, and less often when it has taken a while. */
export async function until(condition: () => boolean, what: string, ms: number = BOUND): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    const waited = performance.now() - start;
    if (waited > ms) fail(`${what}: not after ${ms} ms\n${dump()}`);
    await sleep(untilNextLook(waited));
  }
}

/** The milliseconds that `fn` took. */
export function elapsed(fn: () => void): number {
  const start = performance.now();
  fn();
  return performance.now() - start;
}

/**
 * Runs `round` up to `rounds` times and passes with the first that does: for bounds in time or memory, which a busy
 * machine may break once, and a fault breaks each time.
 */
export async function bestOf(rounds: number, round: () => void | Promise<void>): Promise<void> {
  for (let i = 1;; i++) {
    try {
      return await round();
    } catch (error) {
      if (i >= rounds) throw error;
    }
  }
}

// ---- the report ---------------------------------------------------------------------------------------------------

const noted: { toString(): string }[] = [];

/** Names an object whose text form the report of a hung test shall show. */
export function note<T extends { toString(): string }>(object: T): T {
  noted.push(object);
  return object;
}

/** Forgets these objects, when the next test begins. */
export function forgetNoted(): void {
  noted.length = 0;
}

function dump(): string {
  return [
    `live workers: ${namesOfWorkers({ all: true }).join(", ") || "none"}`,
    `worker threads: ${workerThreads() ?? "unknown"}`,
    `child processes: ${childProcesses()?.join(", ").replace(/^$/, "none") ?? "unknown"}`,
    ...describeSources(),
    ...noted.slice(-20).map((object) => `noted: ${Deno.inspect(object)}`),
  ].join("\n");
}
