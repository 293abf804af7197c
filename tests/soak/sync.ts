/**
 * Scenarios: very many short random histories of the objects of `sync`, each of which must be linearizable, and threads
 * that contend for one object for long.
 */
import { ThreadPoolExecutor } from "@concurrent/futures";
import { THREADS } from "../sync/_contention.ts";
import { CONTENTIONS } from "../sync/_contentions.ts";
import { assertLinearizable, SUBJECTS } from "../sync/_histories.ts";
import type { Scenario } from "./_scenario.ts";

/** Scenarios for each kind of object. `deno task test sync` makes shorter ones. */
export const SYNC: Scenario[] = [
  ...Object.keys(SUBJECTS).map((kind): Scenario => ({
    name: `sync: random histories of a ${kind} are linearizable`,
    size: 100,
    fullSize: 5_000,
    async run(size, random) {
      await assertLinearizable(kind, size, random);
      return { tasks: size };
    },
  })),
  ...Object.entries(CONTENTIONS).map(([name, contend]): Scenario => ({
    name: `sync: four threads contend for a ${name}`,
    size: 8_000,
    fullSize: 1_000_000,
    async run(size) {
      await using pool = new ThreadPoolExecutor(THREADS);
      await contend(pool, Math.ceil(size / 8) * 8);
      return { tasks: size };
    },
  })),
];
