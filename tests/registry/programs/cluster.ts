/** Gets results from a cluster: `cluster.ts <redis> <how>`, where `how` is block or await; anything else gets none. */
import { ClusterExecutor } from "@concurrent/futures/cluster";
import { treble } from "./tasks.ts";

const [redis, how] = Deno.args;
if (["block", "await"].includes(how)) {
  using pool = new ClusterExecutor({ redis });
  const future = pool.submit(treble, 8);
  console.log(how === "block" ? future.result() : await future);
  if (how === "block") console.log([...pool.map(treble, [1, 2, 3])].join());
  else console.log((await Array.fromAsync(pool.map(treble, [1, 2, 3]))).join());
}
