/** Prints the stacks of errors of tasks, as each kind of pool gives them, without the folders. */
import { ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";

export function fail(): never {
  throw new RangeError("no");
}

if (import.meta.main) {
  for (const Pool of [ThreadPoolExecutor, ProcessPoolExecutor]) {
    using pool = new Pool({ maxWorkers: 1, submittedAt: true });
    for (const call of ["first", "second"]) {
      const { stack } = pool.submit(fail).exception() as Error;
      console.log(call, stack!.replaceAll(/file:\S*\//g, ""));
    }
  }
}
