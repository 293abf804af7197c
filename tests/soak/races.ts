/** Scenarios: stops of tasks at just the moment at which something else happens to them. */
import { ProcessPoolExecutor } from "@concurrent/futures";
import { abortAtBegins, killAtEnds } from "../processes/_races.ts";
import type { Scenario } from "./_scenario.ts";

/** What the tests of processes have a smaller share of. */
export const RACES: Scenario[] = [
  ...(["break", "replace"] as const).map((onWorkerCrash): Scenario => ({
    name:
      `ProcessPoolExecutor {${onWorkerCrash}}: a process that is killed just when its task ends fails no other task`,
    size: 10,
    fullSize: 500,
    run: async (size) => {
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash });
      await killAtEnds(pool, size);
      return { tasks: size };
    },
  })),
  {
    name: "ProcessPoolExecutor: aborts while children are given the next tasks, and each of those runs",
    size: 8,
    fullSize: 500,
    run: async (size) => {
      using pool = new ProcessPoolExecutor(2);
      await abortAtBegins(pool, size);
      return { tasks: size * 40 };
    },
  },
];
