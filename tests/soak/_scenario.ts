/**
 * What a scenario under load is, and how it is run and measured: by `tests/load_test.ts`, and in full by `deno task
 * soak`.
 */
import { assert } from "@std/assert";
import { collectWatchdogsGarbage } from "../_census.ts";
import { collectGarbage } from "../_garbage.ts";
import { Random, sleep } from "../_helpers.ts";

/** Something to do with the library, a little or much of it. */
export interface Scenario {
  /** What it shows, as the name of a test. */
  name: string;
  /** How much of it the tests do. */
  size: number;
  /** The bound of the test in milliseconds, where it is more than a minute. */
  bound?: number;
  /** How much of it `deno task soak` does. */
  fullSize: number;
  /** How much more resident memory may be in use after it, in MiB, where it is more than {@linkcode MOST_RESIDENT}. */
  mostResident?: number;
  /** Does it, and fails when anything is not as it must be. What it draws at random repeats with the same seed. */
  run(size: number, random: Random): Promise<Counted>;
}

/** What a scenario counts. */
export interface Counted {
  tasks: number;
  /** By how many milliseconds a timer was late at the worst. */
  latest?: number;
  /** Whatever else there is to tell. */
  more?: string;
}

/** What a scenario counted, and what it took. */
export interface Measured extends Counted {
  seconds: number;
  /** Resident memory before and after, in MiB. */
  resident: [number, number];
}

/**
 * How much more memory may be in use after a scenario, in MiB. A future that is kept takes about 100 bytes, and tests
 * make tens of thousands.
 */
const MOST_HEAP = 1.5;

/**
 * The same for resident memory, once the allocator has given back what is free. V8 keeps some of it for a while: after
 * a million tasks, 162 MiB were seen, and 90 of them were gone a second later. The shared memory of one pool is more
 * than half a MiB, and a worker takes several: so this finds what is in no heap, where some hundreds of them stay.
 */
const MOST_RESIDENT = 200;

const MIB = 1 << 20;

/** How many workers a scenario has: four, or fewer where the tasks are so few that most workers would have none. */
export function workersFor(size: number, tasksForEach: number): number {
  return Math.min(4, Math.ceil(size / tasksForEach));
}

/**
 * Runs a scenario: a tenth of it first, so that what is made once is there, and then all, after which memory must be as
 * it was before.
 *
 * @param isWarm Whether what is made once is there already, because a scenario with the same kind of pool ran before.
 */
export async function measure(scenario: Scenario, size: number, seed: number, isWarm = false): Promise<Measured> {
  const { run, mostResident = MOST_RESIDENT } = scenario;
  try {
    if (!isWarm) await run(Math.ceil(size / 10), new Random(seed));
    // The collections after the scenario before have finalized what is left of it.
    const before = await memoryInUse(isWarm ? 1 : 2);
    const start = performance.now();
    const counted = await run(size, new Random(seed));
    const seconds = (performance.now() - start) / 1_000;
    const isAsBefore = ({ heap, resident }: Memory) =>
      heap - before.heap <= MOST_HEAP && resident - before.resident <= mostResident;
    const after = await memoryInUse(4, isAsBefore);
    assert(isAsBefore(after), `memory grew: ${Deno.inspect({ before, after })} MiB`);
    return { ...counted, seconds, resident: [before.resident, after.resident] };
  } catch (error) {
    throw new Error(`with seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

/** A seed that was not used before; `SOAK_SEED` repeats one. */
export function newSeed(): number {
  return Number(Deno.env.get("SOAK_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
}

/**
 * Makes the allocator of the C library give back what it keeps for later: after many pools that were closed in one turn
 * of the event loop, that is most of their memory. Other systems' allocators have nothing of the kind.
 */
const giveBackFreeMemory = Deno.build.target.endsWith("linux-gnu")
  ? (() => {
    const { symbols } = Deno.dlopen("libc.so.6", { malloc_trim: { parameters: ["usize"], result: "i32" } });
    return () => void symbols.malloc_trim(0n);
  })()
  : undefined;

/** Memory in use, in MiB. */
interface Memory {
  heap: number;
  resident: number;
}

/**
 * The memory in use after all garbage has been collected so many times, or as soon as it is little enough. What one
 * collection finalizes, a later one frees.
 */
async function memoryInUse(collections: number, isEnough?: (memory: Memory) => boolean): Promise<Memory> {
  for (let i = 1;; i++) {
    collectGarbage();
    await collectWatchdogsGarbage();
    // Finalizers and messages to ports have their turn between two collections.
    await sleep(10);
    giveBackFreeMemory?.();
    const { heapUsed, external, rss } = Deno.memoryUsage();
    const memory = { heap: Math.round((heapUsed + external) / MIB * 10) / 10, resident: Math.round(rss / MIB) };
    if (i === collections || isEnough?.(memory)) return memory;
  }
}
