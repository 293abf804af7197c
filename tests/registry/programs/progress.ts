/** Loops with a bar, which is shown on a terminal only: `progress.ts <how>`, where `how` is block or await. */
import { ThreadPoolExecutor } from "@concurrent/futures";
import { progress } from "@concurrent/futures/progress";
import { treble } from "./tasks.ts";

if (import.meta.main) {
  using pool = new ThreadPoolExecutor(2);
  const results = progress(pool.map(treble, [1, 2, 3]), { total: 3, label: "treble", unit: "numbers" });
  if (Deno.args[0] === "block") { for (const n of results) console.log(n); }
  else for await (const n of results) console.log(n);
}
