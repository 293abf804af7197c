/**
 * Gets results of each kind of function from a pool: `pools.ts <kind> <how>`, where `kind` is threads, processes or
 * none (processes without permissions) and `how` is block or await; anything else gets none.
 */
import { ProcessPoolExecutor, taskRef, ThreadPoolExecutor } from "@concurrent/futures";
import { treble } from "./tasks.ts";

export const halve = (n: number): number => n / 2;

const [kind, how] = Deno.args;

if (import.meta.main && ["block", "await"].includes(how)) {
  using pool = kind === "threads"
    ? new ThreadPoolExecutor(2)
    : new ProcessPoolExecutor({ maxWorkers: 2, permissions: kind === "none" ? "none" : "inherit" });
  const square = (n: number) => n * n;
  const named = taskRef<typeof treble>(import.meta.resolve("./tasks.ts"), "treble");
  for (const fn of [square, halve, treble, named]) {
    const future = pool.submit(fn, 8);
    console.log(how === "block" ? future.result() : await future);
  }
  if (how === "block") console.log([...pool.map(square, [1, 2, 3])].join());
  else console.log((await Array.fromAsync(pool.map(square, [1, 2, 3]))).join());
}
