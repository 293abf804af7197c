/**
 * A short measurement that tells, on any machine and beside other work, whether something has become more than twice as
 * slow.
 *
 * Ours and a floor take turns in rounds of a millisecond or so, and the best round of each counts: noise only adds
 * time, and most short rounds are not disturbed even when other programs keep all cores busy. Only their ratio is
 * judged.
 *
 *     deno task bench guard            prints the ratios of this machine
 *
 * @module
 */

import { ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
import { echo, noop, spin } from "./drivers/tasks.mjs";
import { EchoWorker, Pipe } from "./_floors.ts";

/** What is measured with: made anew for each row of the guard. */
interface Rig {
  /** Does the work of one round. Of several round trips it returns what the best one took, in milliseconds. */
  ours(): number | void;
  floor(): Promise<number | void>;
  close(): Promise<void>;
}

export interface GuardRow {
  /** The symbol and what it does, as tests are named. */
  name: string;
  /** How often the time of the floor ours takes on a quiet machine. To be noted anew after each change of the speed. */
  usual: number;
  prepare(): Rig;
}

export interface GuardFigure {
  /** Ours to the floor, best round to best round. */
  ratio: number;
  /** Milliseconds of the best rounds, or round trips. */
  ours: number;
  floor: number;
  rounds: number;
}

const MEBIBYTE = new Uint8Array(2 ** 20);
const BATCHES = Array.from({ length: 4 }, (_, i) => Array.from({ length: 1_000 }, (_, j) => 1_000 * i + j));

/** How many round trips a round is: one alone would always find its worker asleep. */
const TRIPS = 20;

function bestTrip(trip: () => void): number {
  let best = Infinity;
  for (let i = 0; i < TRIPS; i++) {
    const start = performance.now();
    trip();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

async function bestTripAwaited(trip: () => Promise<unknown>): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < TRIPS; i++) {
    const start = performance.now();
    await trip();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

function withThreads(rig: (pool: ThreadPoolExecutor, floor: EchoWorker) => Omit<Rig, "close">): () => Rig {
  return () => {
    const [pool, floor] = [new ThreadPoolExecutor(2), new EchoWorker()];
    return {
      ...rig(pool, floor),
      close: async () => {
        floor.close();
        await pool.shutdown();
      },
    };
  };
}

function withProcesses(rig: (pool: ProcessPoolExecutor) => Rig["ours"]): () => Rig {
  return () => {
    const [pool, cat] = [new ProcessPoolExecutor(2), new Pipe("cat")];
    const small = new Uint8Array(64);
    return {
      ours: rig(pool),
      floor: () => bestTripAwaited(() => cat.send(small)),
      close: async () => {
        await cat.close();
        await pool.shutdown();
      },
    };
  };
}

function submitAll(pool: ThreadPoolExecutor | ProcessPoolExecutor, count: number): void {
  const futures = Array.from({ length: count }, () => pool.submit(noop));
  for (const future of futures) future.result();
}

export const GUARD_ROWS: GuardRow[] = [
  {
    name: "ThreadPoolExecutor.submit(), a blocking round trip to one of postMessage",
    usual: 0.25,
    prepare: withThreads((pool, floor) => ({
      ours: () => {
        // While both compute, the system puts them on different cores.
        const apart = pool.submit(spin, 20);
        spin(20);
        apart.result();
        return bestTrip(() => pool.submit(noop).result());
      },
      floor: () => bestTripAwaited(() => floor.send(undefined)),
    })),
  },
  {
    name: "ThreadPoolExecutor.submit(), 200 tasks at once to 200 messages",
    usual: 0.38,
    prepare: withThreads((pool, floor) => {
      const messages = Array(200).fill(undefined);
      return { ours: () => submitAll(pool, 200), floor: async () => void await floor.sendAll(messages) };
    }),
  },
  {
    name: "ThreadPoolExecutor.map() of 4,000 numbers to messages of 1,000 numbers",
    usual: 1.2,
    prepare: withThreads((pool, floor) => {
      const numbers = BATCHES.flat();
      return {
        ours: () => {
          let sum = 0;
          for (const n of pool.map(echo<number>, numbers)) sum += n;
          if (sum !== 7_998_000) throw new Error(`The sum is ${sum}`);
        },
        floor: async () => void await floor.sendAll(BATCHES),
      };
    }),
  },
  {
    name: "ThreadPoolExecutor.submit(), echo of 1 MiB to one by postMessage",
    usual: 1,
    prepare: withThreads((pool, floor) => ({
      ours: () => {
        const { length } = pool.submit(echo<Uint8Array>, MEBIBYTE).result();
        if (length !== MEBIBYTE.length) throw new Error(`${length} bytes came back`);
      },
      floor: async () => void await floor.send(MEBIBYTE),
    })),
  },
  {
    name: "ProcessPoolExecutor.submit(), a blocking round trip to one through cat",
    usual: 9,
    prepare: withProcesses((pool) => () => bestTrip(() => pool.submit(noop).result())),
  },
  {
    name: "ProcessPoolExecutor.submit(), 10 tasks at once to a round trip through cat",
    usual: 30,
    prepare: withProcesses((pool) => () => submitAll(pool, 10)),
  },
];

/** So many rounds at least, so that no lucky first one decides. */
const MIN_ROUNDS = 10;

/**
 * Milliseconds until new workers are started: the system may have put ours on the core of this thread, because another
 * program keeps the other one busy, and then leaves it there. New ones are placed anew.
 */
const ATTEMPT = 120;

/**
 * Measures until the ratio is at most `enough`, but at least {@linkcode MIN_ROUNDS} rounds, and at most so many
 * milliseconds.
 *
 * @param row What to measure.
 * @param enough The ratio that is good enough.
 * @param longest Milliseconds.
 * @returns The ratio.
 */
export async function measureGuard(row: GuardRow, enough: number, longest: number): Promise<GuardFigure> {
  let [bestOurs, bestFloor, rounds] = [Infinity, Infinity, 0];
  const isEnough = () => rounds >= MIN_ROUNDS && bestOurs / bestFloor <= enough;
  const end = performance.now() + longest;
  do {
    const { ours, floor, close } = row.prepare();
    try {
      for (let i = 0; i < 3; i++) {
        ours();
        await floor();
      }
      const attemptEnd = Math.min(end, performance.now() + ATTEMPT);
      do {
        rounds++;
        let start = performance.now();
        bestOurs = Math.min(bestOurs, ours() ?? performance.now() - start);
        start = performance.now();
        bestFloor = Math.min(bestFloor, await floor() ?? performance.now() - start);
      } while (!isEnough() && performance.now() < attemptEnd);
    } finally {
      await close();
    }
  } while (!isEnough() && performance.now() < end);
  return { ratio: bestOurs / bestFloor, ours: bestOurs, floor: bestFloor, rounds };
}

/** Prints the ratios of this machine, for {@linkcode GuardRow.usual}. */
export async function printGuard(): Promise<void> {
  for (const row of GUARD_ROWS) {
    const { ratio, ours, floor, rounds } = await measureGuard(row, 0, 1_300);
    const times = `${(ours * 1000).toPrecision(3)} to ${(floor * 1000).toPrecision(3)} µs`;
    console.log(`${row.name}: ${ratio.toPrecision(3)}, noted ${row.usual} (${times}, ${rounds} rounds)`);
  }
}
