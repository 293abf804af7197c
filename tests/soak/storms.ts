/** Scenarios: tasks that are stopped at random, in pools with every kind of option. */
import { ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
import type { Scenario } from "./_scenario.ts";
import { type Storm, storm } from "./_storm.ts";

/** What most tasks do. */
const MOST: Storm["deeds"] = [[40, "returns"], [8, "throws"], [12, "computes"], [8, "awaits"], [4, "throws later"]];
const STOPPED: Storm["deeds"] = [[6, "heeds"], [3, "returns late"], [4, "follows"], [6, "hears"]];
/** Each of these that is stopped costs a process, or a thread. */
const STUBBORN: Storm["deeds"] = [[2, "computes on"], [1, "awaits for ever"]];

/** How long a thread computes that is given up for that: it cannot be ended before. */
const THREAD_MS = 150;

const threads = { perPool: 150, deeds: [...MOST, ...STOPPED, ...STUBBORN], computesOn: THREAD_MS };
const processes = { ...threads, perPool: 80, computesOn: Infinity };

/** The most memory that a process may hold, in bytes: it is over that after some tasks. */
const MAX_MEMORY = 150 << 20;

const STORMS: readonly (Storm & Pick<Scenario, "name" | "size" | "fullSize">)[] = [
  {
    ...threads,
    name: "ThreadPoolExecutor: tasks that are stopped at random end once, with what is their own",
    size: 90,
    fullSize: 20_000,
    make: (random) => new ThreadPoolExecutor(1 + random.below(6)),
  },
  {
    ...processes,
    name: "ProcessPoolExecutor: tasks that are stopped at random end once, with what is their own",
    size: 36,
    fullSize: 4_000,
    make: (random) =>
      new ProcessPoolExecutor({
        maxWorkers: 1 + random.below(4),
        onWorkerCrash: random.of(["break", "replace"]),
        maxTasksPerChild: random.of([undefined, undefined, 5, 30]),
      }),
  },
  {
    ...threads,
    name: "ThreadPoolExecutor {maxQueued}: whoever has waited for room has it, while tasks are stopped at random",
    size: 70,
    fullSize: 8_000,
    isBounded: true,
    make: (random) => new ThreadPoolExecutor({ maxWorkers: 1 + random.below(4), maxQueued: 1 + random.below(12) }),
  },
  {
    ...processes,
    name: "ProcessPoolExecutor {maxQueued}: whoever has waited for room has it, while tasks are stopped at random",
    size: 36,
    fullSize: 2_000,
    isBounded: true,
    make: (random) => new ProcessPoolExecutor({ maxWorkers: 1 + random.below(4), maxQueued: 1 + random.below(12) }),
  },
  {
    ...threads,
    name: "ThreadPoolExecutor {idleTimeout}: threads end while tasks come, and tasks are stopped at random",
    size: 70,
    fullSize: 10_000,
    pause: 20,
    make: (random) => new ThreadPoolExecutor({ maxWorkers: 1 + random.below(4), idleTimeout: 1 + random.below(10) }),
  },
  {
    ...processes,
    name: "ProcessPoolExecutor {idleTimeout}: processes end while tasks come, and tasks are stopped at random",
    size: 36,
    fullSize: 2_000,
    pause: 60,
    make: (random) => new ProcessPoolExecutor({ maxWorkers: 1 + random.below(4), idleTimeout: 1 + random.below(50) }),
  },
  {
    ...processes,
    deeds: [...processes.deeds, [12, "fills"]],
    name: "ProcessPoolExecutor {maxMemoryPerChild}: processes are replaced, while tasks are stopped at random",
    size: 36,
    fullSize: 2_000,
    make: (random) =>
      new ProcessPoolExecutor({
        maxWorkers: 1 + random.below(4),
        maxMemoryPerChild: MAX_MEMORY,
        onWorkerCrash: random.of(["break", "replace"]),
      }),
  },
];

/** The scenarios of tasks that are stopped at random. */
export const STOPS: Scenario[] = STORMS.map(({ name, size, fullSize, ...parts }) => ({
  name,
  size,
  bound: 120_000,
  fullSize,
  run: async (size, random) => ({ tasks: size, more: await storm(parts, size, random) }),
}));
