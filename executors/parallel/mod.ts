/**
 * Short ways to run functions in parallel: no executor has to be made or shut down.
 *
 * - {@linkcode parallel} makes a function that returns a future at once.
 * - {@linkcode parallelize} runs the body of a loop for all items, several at a time.
 * - {@linkcode invokeAll} runs different tasks, and has one future for all results.
 * - {@linkcode invokeAny} has the first result of several tasks, and stops the others.
 *
 * All of them use one pool of threads, which starts with the first task. Its threads end after a second without tasks,
 * and it keeps no program alive. With the option `executor` they use another executor instead, of any kind: processes,
 * a cluster, or what `with()` returns.
 *
 * ```ts
 * import { invokeAll, parallel, parallelize } from "@concurrent/futures/parallel";
 * import { assertEquals } from "@std/assert";
 *
 * const square = parallel((n: number) => n * n);
 * assertEquals(square(3).result() + square(4).result(), 25);
 *
 * assertEquals([...parallelize([1, 2, 3], (n) => 2 * n)], [2, 4, 6]);
 *
 * const [sum, text] = await invokeAll([() => 1 + 1, [(name: string) => `Hello ${name}`, "Ada"]]);
 * assertEquals([sum, text], [2, "Hello Ada"]);
 * ```
 *
 * Functions are found in a worker as those of `Executor.submit()` are: exported ones are imported there, with all that
 * they use. Any other is sent as source text, and must not use names from around it.
 *
 * @module
 */

export { parallel, type ParallelOptions } from "./parallel.ts";
export { parallelize } from "./parallelize.ts";
export { type CheckedTask, type InvokeOptions, type Task, type TaskResult, type TaskResults } from "./task.ts";
export { invokeAll } from "./invoke_all.ts";
export { invokeAny } from "./invoke_any.ts";
