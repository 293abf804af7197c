/** Uses the pool that nobody makes: `parallel.ts <how>`, where `how` is block or await; anything else runs nothing. */
import { invokeAll, invokeAny, parallel, parallelize } from "@concurrent/futures/parallel";
import { treble } from "./tasks.ts";

const [how] = Deno.args;

if (import.meta.main && ["block", "await"].includes(how)) {
  const square = (n: number) => n * n;
  const futures = [parallel(treble)(8), parallel(square)(8), invokeAny([[treble, 1]])];
  const all = invokeAll([[treble, 2], [square, 2]]);
  const results = parallelize([1, 2, 3], square);
  if (how === "block") {
    for (const future of futures) console.log(future.result());
    console.log(all.result().join());
    console.log([...results].join());
  } else {
    for (const future of futures) console.log(await future);
    console.log((await all).join());
    console.log((await Array.fromAsync(results)).join());
  }
}
