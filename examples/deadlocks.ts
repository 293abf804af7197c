/**
 * The two deadlocks that Python's manual warns of, and what becomes of them here.
 *
 * ```sh
 * deno run --allow-read=. examples/deadlocks.ts
 * ```
 *
 * In Python a task shares its memory with the program: it can reach any future and any pool, wait for them, and so wait
 * for itself. Here a task runs in a worker that has neither, so most of these attempts fail at once and say why.
 * Nothing below waits without a limit.
 *
 * @module
 */

import { type Future, ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, readOptions } from "./_options.ts";

/** In milliseconds. Only a deadlock would take so long. */
const LIMIT = 10_000;

/** Prints how a future ends: what its task returned, or the first sentence of what it threw. */
function report(attempt: string, future: Future<unknown>) {
  const error = future.exception(LIMIT);
  const end = error === null ? `returned ${Deno.inspect(future.result())}` : `${error}`.split(". ")[0];
  console.log(`- ${attempt}\n  ${end}`);
}

/** Python: `a` runs a task that waits for `b`, and `b` one that waits for `a`. */
function tasksThatWaitForEachOther() {
  using pool = new ThreadPoolExecutor(2);

  console.log("1. Two tasks that wait for each other\n");
  const a: Future<number> = pool.submit(() => b.result());
  const b: Future<number> = pool.submit(() => a.result());
  report("a uses b, a name of the program:", a);
  report("b uses a:", b);

  const c = pool.submit(() => 5);
  report("a task takes a future as its argument:", pool.submit((future: Future<number>) => future.result(), c));
  report("a task takes the result instead, for which the program waits:", pool.submit((n) => n + 1, c.result(LIMIT)));

  console.log(`
A task cannot get a future, so two tasks cannot wait for each other. The program waits, and passes results on.
`);
}

/** A task with a pool of its own, which has a thread to spare. It is exported, so that its own import works. */
export function powerInAPoolOfItsOwn(base: number, exponent: number): number {
  using pool = new ThreadPoolExecutor(1);
  return pool.submit((base: number, exponent: number) => base ** exponent, base, exponent).result(10_000);
}

/** Python: in a pool of one thread, a task submits another one to the same pool and waits for it. */
function taskThatWaitsForItsOwnPool() {
  using pool = new ThreadPoolExecutor(1);
  const square = (n: number) => n ** 2;

  console.log("2. A task that waits for another one in its own pool of one thread\n");
  report("it uses pool, a name of the program:", pool.submit(() => pool.submit(square, 5).result()));
  report(
    "it takes the pool as its argument:",
    pool.submit((pool: ThreadPoolExecutor) => pool.submit((n: number) => n ** 2, 5).result(), pool),
  );
  report("it makes a pool of its own:", pool.submit(powerInAPoolOfItsOwn, 5, 2));

  console.log(`
A task cannot get its own pool, so it cannot wait for its queue. It can make another pool, which has another thread.
`);
}

/** Memory can be shared on purpose, and then tasks can wait for each other after all. */
function tasksThatShareMemory(threads: number) {
  using pool = new ThreadPoolExecutor(threads);
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const waiting = pool.submit((flag: Int32Array<SharedArrayBuffer>) => {
    // "not-equal" says that the flag was set before the wait began.
    return Atomics.wait(flag, 0, 0, 500) === "timed-out" ? "timed-out" : "ok";
  }, flag);
  pool.submit((flag: Int32Array) => {
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  }, flag);
  report(`a task waits for a flag that the next task sets, at most 500 ms; threads: ${threads}`, waiting);
}

/** It has no options but `--help`. */
export const COMMAND = commandLine({
  about: "Try the deadlocks of Python's manual, and print what happens instead.",
  command: "deno run --allow-read=. examples/deadlocks.ts",
});

// The threads import this module too: only the program itself is to start.
if (import.meta.main) {
  readOptions(COMMAND);
  tasksThatWaitForEachOther();
  taskThatWaitsForItsOwnPool();

  console.log("3. What can still wait forever\n");
  tasksThatShareMemory(1);
  tasksThatShareMemory(2);
  console.log(`
With one thread, the task that would end the wait stays in the queue until the limit is over. Tasks that wait need a
limit, or a thread each.`);
}
