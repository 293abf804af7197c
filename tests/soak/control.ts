/** Scenarios: very many tasks of which some have to be stopped, while other programs keep all CPUs busy. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { type Future, TimeoutError } from "@concurrent/futures";
import { Ledger, within } from "../_helpers.ts";
import type { Kind } from "../behaviour/kind.ts";
import { loopForever, loopUntilAborted } from "../fixtures/control_tasks.ts";
import { kind as processPool } from "../fixtures/kinds/process_pool.ts";
import { kind as threadPool } from "../fixtures/kinds/thread_pool.ts";
import { record } from "../fixtures/tasks.ts";
import type { Counted, Scenario } from "./_scenario.ts";

/** The scenarios of stopped tasks. */
export const CONTROL: Scenario[] = [
  {
    name: `${processPool.name}: exactly the tasks that run for ever fail by their timeout, all others run once`,
    size: 2_000,
    // Each of the 200 processes that are killed takes another one's place.
    bound: 400_000,
    fullSize: 20_000,
    run: (size) => stopEndless(processPool, size, 20, loopForever),
  },
  {
    name: `${threadPool.name}: exactly the tasks that loop until they are stopped fail by their timeout`,
    size: 2_000,
    fullSize: 20_000,
    run: (size) => stopEndless(threadPool, size, 10_000, loopUntilAborted),
  },
];

/** Programs that compute as long as this exists, one for each CPU. */
class Busy implements AsyncDisposable {
  readonly #programs = Array.from(
    { length: navigator.hardwareConcurrency },
    () => new Deno.Command(Deno.execPath(), { args: ["eval", "for (;;);"], stdin: "null" }).spawn(),
  );

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) program.kill("SIGKILL");
    for (const program of this.#programs) await program.status;
  }
}

const WORKERS = 4;
const EVERY = 10;
const TIMEOUT = 50;

async function stopEndless({ make }: Kind, size: number, grace: number, endless: () => never): Promise<Counted> {
  await using _busy = new Busy();
  const ledger = new Ledger();
  const futures: Future<number>[] = [];
  {
    await using pool = make({ maxWorkers: WORKERS });
    const limited = pool.with({ timeout: TIMEOUT, grace });
    for (let i = 0; i < size; i++) {
      futures.push(i % EVERY === 0 ? limited.submit(endless) : pool.submit(record<number>, ledger.path, i));
    }
    await within(Promise.allSettled(futures), "all tasks", size * 200);
  }
  for (const [i, future] of futures.entries()) {
    if (i % EVERY === 0) assertInstanceOf(future.exception(0), TimeoutError, `${i}: ${future}`);
    else assertEquals(future.result(0), i);
  }
  assertEquals(ledger.numbers(), [...futures.keys()].filter((i) => i % EVERY !== 0));
  return { tasks: size, more: `${size / EVERY} stopped` };
}
