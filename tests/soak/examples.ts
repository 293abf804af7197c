/** What examples promise of times, where a latency must be long for the start of workers to weigh little. */
import { assert, assertEquals } from "@std/assert";
import { linesOf, runExample } from "../examples/_run.ts";
import { bestOf, temporaryPath } from "../_helpers.ts";
import type { Counted, Scenario } from "./_scenario.ts";

/** The size is the latency of each of 20 flags, in milliseconds. `tests/examples/flags_test.ts` runs it with 100. */
export const EXAMPLES: Scenario[] = [{
  name: "flags.ts --compare: threads are 8 times faster than one after the other, processes 2 times",
  size: 100,
  fullSize: 800,
  run: compare,
}];

/** What the start of 20 threads, and of the processes, may take, in seconds: at 800 ms that makes 8 times, and 2. */
const START = { threads: 1.2, processes: 4 };

async function compare(latency: number): Promise<Counted> {
  let times = new Map<string, number>();
  await bestOf(3, async () => {
    const dest = temporaryPath("flags");
    const lines = linesOf(await runExample("flags.ts", ["--compare", "--latency", `${latency}`, "--dest", dest]));
    times = new Map(
      lines.slice(1).map((line) => {
        const [mode, seconds] = line.trim().split(/\s+/);
        return [mode, Number(seconds)];
      }),
    );
    assertEquals(times.size, 5, lines.join("\n"));
    const each = latency / 1_000;
    const text = lines.join("\n");
    assert(times.get("sequential")! >= 20 * each, text);
    assert(times.get("threads")! <= each + START.threads, text);
    assert(times.get("processes")! <= 5 * each + START.processes, text);
  });
  return { tasks: 100, more: [...times].map(([mode, seconds]) => `${mode} ${seconds.toFixed(2)} s`).join(", ") };
}
