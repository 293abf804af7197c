/**
 * The scenarios of `deno task soak`, with less of everything. A failure says the seed: `SOAK_SEED=<seed>` repeats it.
 */
import { test } from "./_helpers.ts";
import { CONTROL } from "./soak/control.ts";
import { FAULTS } from "./soak/faults.ts";
import { LOAD } from "./soak/load.ts";
import { measure, newSeed } from "./soak/_scenario.ts";
import { STOPS } from "./soak/storms.ts";

/** The kinds of pools that a scenario has used. */
const warm = new Set<string>();

for (const scenario of [...LOAD, ...FAULTS, ...CONTROL, ...STOPS]) {
  test(scenario.name, async () => {
    const [kind] = /^\w+/.exec(scenario.name)!;
    await measure(scenario, scenario.size, newSeed(), warm.has(kind));
    warm.add(kind);
  }, { bound: scenario.bound ?? 60_000 });
}
