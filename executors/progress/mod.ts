/**
 * A progress bar around any loop: how much is done, how fast, and how long the rest takes.
 *
 * ```ts
 * import { ThreadPoolExecutor } from "@concurrent/futures";
 * import { progress } from "@concurrent/futures/progress";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor(2);
 * const words = ["a", "bc", "def"];
 * const lengths: number[] = [];
 * const results = pool.map((word: string) => word.length, words);
 * for await (const n of progress(results, { total: words.length, unit: "words" })) lengths.push(n);
 * assertEquals(lengths, [1, 2, 3]);
 * ```
 *
 * Only programs that import this module load cli-progress, which draws the bar.
 *
 * @module
 */

export { progress, type ProgressOptions } from "./progress.ts";
