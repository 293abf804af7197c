/** Scenarios: very many short random histories of the objects of `sync`, each of which must be linearizable. */
import { assertLinearizable, SUBJECTS } from "../sync/_histories.ts";
import type { Scenario } from "./_scenario.ts";

/** A scenario for each kind of object. `deno task test sync` makes shorter ones. */
export const SYNC: Scenario[] = Object.keys(SUBJECTS).map((kind) => ({
  name: `sync: random histories of a ${kind} are linearizable`,
  size: 100,
  fullSize: 5_000,
  async run(size, random) {
    await assertLinearizable(kind, size, random);
    return { tasks: size };
  },
}));
