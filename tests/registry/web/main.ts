/** A program that lies on a web server, as its tasks do: `main.ts <kind> <how>`; see `programs/pools.ts`. */
import { ProcessPoolExecutor, taskRef, ThreadPoolExecutor } from "@concurrent/futures";
import { greet } from "./tasks.ts?tenant=acme";

export const halve = (n: number): number => n / 2;

if (import.meta.main) {
  const [kind, how] = Deno.args;
  using pool = kind === "threads"
    ? new ThreadPoolExecutor(2)
    : new ProcessPoolExecutor({ maxWorkers: 2, permissions: kind === "none" ? "none" : "inherit" });
  const result = async <T>(future: PromiseLike<T> & { result(): T }) =>
    how === "block" ? future.result() : await future;
  console.log(await result(pool.submit((n: number) => n * n, 8)));
  console.log(await result(pool.submit(halve, 8)));
  const named = taskRef<typeof greet>(import.meta.resolve("./tasks.ts?tenant=acme"), "greet");
  console.log(await result(pool.submit(named, "Ann")), greet("Bob"), await named("Cy"));
  console.log(await result(pool.submit(greet, "Dan")));
  const names = async () => Object.keys(await import("./tasks.ts?tenant=ajax")).join();
  console.log(await result(pool.submit(names)));
}
