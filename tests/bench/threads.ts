/**
 * What a thread pool costs: round trips, tasks in a row, values of several sizes, starting. In microseconds, medians of
 * rounds that are interleaved with the same work over bare `postMessage`, so that the ratios hold on a noisy machine too.
 *
 *     deno task bench
 *
 * @module
 */

import { type Future, ThreadPoolExecutor } from "@concurrent/futures";
import { median, microseconds } from "./_measure.ts";

const ROUNDS = 5;

function noop(): void {}

function echo<T>(value: T): T {
  return value;
}

/** A worker that answers each message with the same message: what everything else is measured against. */
class Echo implements Disposable {
  readonly #worker = new Worker(
    `data:application/javascript,${encodeURIComponent("onmessage = ({ data }) => postMessage(data)")}`,
    { type: "module" },
  );

  /** Sends a value so often, waiting for each answer or only for all, and resolves when all answers are there. */
  async send(value: unknown, times: number, eachAlone: boolean): Promise<void> {
    for (let sent = 0; sent < times;) {
      const burst = eachAlone ? 1 : times;
      const { promise, resolve } = Promise.withResolvers<void>();
      let answers = 0;
      this.#worker.onmessage = () => {
        if (++answers === burst) resolve();
      };
      for (let i = 0; i < burst; i++) this.#worker.postMessage(value);
      await promise;
      sent += burst;
    }
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

interface Row {
  name: string;
  /** How many tasks one round is. */
  tasks: number;
  run(pool: ThreadPoolExecutor, tasks: number): void | Promise<void>;
  /** The same work over bare `postMessage`. */
  floor?(echo: Echo, tasks: number): Promise<void>;
  /** Microseconds a task that it must not exceed on a quiet machine, where that has been agreed upon. */
  target?: number;
}

const KIBIBYTE = "x".repeat(1024);
const MEBIBYTE = new Uint8Array(1 << 20);

const ROWS: Row[] = [
  {
    name: "round trip, blocking",
    tasks: 5_000,
    run: (pool, tasks) => {
      for (let i = 0; i < tasks; i++) pool.submit(noop).result();
    },
    floor: (echo, tasks) => echo.send(0, tasks, true),
    target: 10,
  },
  {
    name: "round trip, awaited",
    tasks: 2_000,
    run: async (pool, tasks) => {
      for (let i = 0; i < tasks; i++) await pool.submit(noop);
    },
    floor: (echo, tasks) => echo.send(0, tasks, true),
  },
  {
    name: "tasks in a row, a task",
    tasks: 50_000,
    run: (pool, tasks) => {
      const futures: Future<void>[] = [];
      for (let i = 0; i < tasks; i++) futures.push(pool.submit(noop));
      for (const future of futures) future.result();
    },
    floor: (echo, tasks) => echo.send(0, tasks, false),
    target: 3,
  },
  {
    name: "map over numbers, an item",
    tasks: 100_000,
    run: (pool, tasks) => {
      let count = 0;
      for (const _ of pool.map(echo<number>, Array(tasks).keys())) count++;
      if (count !== tasks) throw new Error(`${count} results instead of ${tasks}`);
    },
  },
  {
    name: "echo of 1 KiB of text",
    tasks: 2_000,
    run: (pool, tasks) => {
      for (let i = 0; i < tasks; i++) pool.submit(echo<string>, KIBIBYTE).result();
    },
    floor: (echo, tasks) => echo.send(KIBIBYTE, tasks, true),
  },
  {
    name: "echo of 1 MiB of bytes",
    tasks: 50,
    run: (pool, tasks) => {
      for (let i = 0; i < tasks; i++) {
        const { length } = pool.submit(echo<Uint8Array>, MEBIBYTE).result();
        if (length !== MEBIBYTE.length) throw new Error(`${length} bytes came back`);
      }
    },
    floor: (echo, tasks) => echo.send(MEBIBYTE, tasks, true),
  },
  {
    name: "new pool of 2 to its first result",
    tasks: 1,
    run: (_, tasks) => {
      for (let i = 0; i < tasks; i++) {
        using pool = new ThreadPoolExecutor(2);
        pool.submit(noop).result();
      }
    },
  },
];

if (import.meta.main) {
  using pool = new ThreadPoolExecutor(2);
  using echo = new Echo();
  const times = ROWS.map(() => ({ ours: [] as number[], floor: [] as number[] }));
  // The first round warms up: functions run unoptimized at first.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, { tasks, run, floor }] of ROWS.entries()) {
      const ours = await microseconds(tasks, () => run(pool, tasks));
      const bare = floor && await microseconds(tasks, () => floor(echo, tasks));
      if (round === 0) continue;
      times[i].ours.push(ours);
      if (bare !== undefined) times[i].floor.push(bare);
    }
  }
  console.log("µs                                    median       min       max  postMessage   ratio  target");
  let missed = 0;
  for (const [i, { name, target }] of ROWS.entries()) {
    const { ours, floor } = times[i];
    const [mid, bare] = [median(ours), median(floor)];
    const isMissed = target !== undefined && mid > target;
    if (isMissed) missed++;
    console.log(
      name.padEnd(34) + [mid, Math.min(...ours), Math.max(...ours)].map((n) => n.toFixed(2).padStart(10)).join("") +
        (bare === undefined
          ? "            -       -"
          : `${bare.toFixed(2).padStart(13)}${(mid / bare).toFixed(3).padStart(8)}`) +
        `${(target?.toFixed(0) ?? "-").padStart(8)}${isMissed ? "  missed" : ""}`,
    );
  }
  if (missed > 0) Deno.exitCode = 1;
}
