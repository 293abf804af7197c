/** Scenarios: very many tasks of which some have to be stopped, while other programs keep all CPUs busy. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type Future, TimeoutError } from "@concurrent/futures";
import { childProcesses, Ledger, within } from "../_helpers.ts";
import { isAlive } from "../_start.ts";
import type { Kind } from "../behaviour/kind.ts";
import { kind as processPool } from "../fixtures/kinds/process_pool.ts";
import { kind as threadPool } from "../fixtures/kinds/thread_pool.ts";
import { type Counted, type Scenario, workersFor } from "./_scenario.ts";
import { act, type Deed, type Proof } from "./_stopped_tasks.ts";
import { hash } from "./_tasks.ts";

/** The scenarios of stopped tasks. */
export const CONTROL: Scenario[] = [
  {
    name: `${processPool.name}: exactly the tasks that run for ever fail by their timeout, all others run once`,
    // Each of the processes that are killed takes another one's place: 2 here, and 2,000 in full.
    size: 20,
    bound: 600_000,
    fullSize: 20_000,
    run: (size) => stopEndless(processPool, size, 0, "computes on"),
  },
  {
    name: `${threadPool.name}: exactly the tasks that loop until they are stopped fail by their timeout`,
    size: 40,
    bound: 120_000,
    fullSize: 20_000,
    run: (size) => stopEndless(threadPool, size, 10_000, "heeds"),
  },
];

/** A program that computes until it is killed, or the one that has started it has ended. */
const COMPUTE = "const { ppid } = Deno; while (Deno.ppid === ppid);";

/** Programs that compute as long as this exists, one for each CPU. */
class Busy implements AsyncDisposable {
  readonly #programs = Array.from(
    { length: navigator.hardwareConcurrency },
    () => new Deno.Command(Deno.execPath(), { args: ["eval", COMPUTE], stdin: "null" }).spawn(),
  );

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) program.kill("SIGKILL");
    for (const program of this.#programs) await program.status;
  }
}

const EVERY = 10;
const TIMEOUT = 50;

async function stopEndless({ make }: Kind, size: number, grace: number, endless: Deed): Promise<Counted> {
  await using _busy = new Busy();
  const processes = childProcesses()?.sort();
  const ledger = new Ledger();
  const futures: Future<Proof>[] = [];
  const calls = new Array<number>(size).fill(0);
  const pool = make({ maxWorkers: workersFor(size, EVERY) });
  const limited = pool.with({ timeout: TIMEOUT, grace });
  for (let i = 0; i < size; i++) {
    const future = i % EVERY === 0
      ? limited.submit(act, ledger.path, i, endless, Infinity)
      : pool.submit(act, ledger.path, i, "returns", 0);
    future.addDoneCallback(() => calls[i]++);
    futures.push(future);
  }
  await within(Promise.allSettled(futures), "all tasks", 60_000 + size * 200);
  const { done, failed, cancelled, lost, queued, running } = pool.stats();
  const stopped = Math.ceil(size / EVERY);
  const none = { cancelled: 0, lost: 0, queued: 0, running: 0 };
  assertEquals({ done, failed, cancelled, lost, queued, running }, { ...none, done: size - stopped, failed: stopped });
  await within(pool.shutdown(), "shutdown()", 60_000);
  for (const [i, future] of futures.entries()) {
    if (i % EVERY === 0) assertInstanceOf(future.exception(0), TimeoutError, `${i}: ${future}`);
    else assertEquals(future.result(0), { n: i, value: hash(i) });
  }
  assert(calls.every((count) => count === 1), "each future is done once");
  const lines = ledger.lines().map((line) => line.split(" ").map(Number));
  const begun = lines.map(([n]) => n).filter((n) => n % EVERY !== 0).sort((a, b) => a - b);
  assertEquals(begun, [...futures.keys()].filter((i) => i % EVERY !== 0), "each has run once");
  const pids = new Set(lines.map(([, pid]) => pid));
  pids.delete(Deno.pid);
  assertEquals([...pids].filter(isAlive), [], "no process is left");
  assertEquals(childProcesses()?.sort(), processes);
  return { tasks: size, more: `${stopped} stopped` };
}
