/**
 * What a process pool costs: round trips, tasks in a row, large values, starting. In microseconds, medians of rounds that are interleaved
 * with the same bytes through `cat`, so that the ratios hold on a noisy machine too.
 *
 *     deno run -P=test tests/bench/processes.ts
 *
 * @module
 */

import { type Future, ProcessPoolExecutor } from "@concurrent/futures";
import { median, microseconds } from "./_measure.ts";

const ROUNDS = 5;

function noop(): void {}

function echo<T>(value: T): T {
  return value;
}

/** `cat`: what everything else is measured against. */
class Cat implements AsyncDisposable {
  readonly #process = new Deno.Command("cat", { stdin: "piped", stdout: "piped" }).spawn();
  readonly #writer = this.#process.stdin.getWriter();
  readonly #reader = this.#process.stdout.getReader();

  /** Sends bytes there and back so often, one after the other. */
  async send(bytes: Uint8Array<ArrayBuffer>, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      const written = this.#writer.write(bytes);
      for (let received = 0; received < bytes.byteLength;) received += (await this.#reader.read()).value!.byteLength;
      await written;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#process.status;
    await this.#reader.cancel();
  }
}

interface Row {
  name: string;
  /** How many tasks one round is. */
  tasks: number;
  run(pool: ProcessPoolExecutor, tasks: number): void | Promise<void>;
  /** As many bytes through `cat`. */
  floor?: Uint8Array<ArrayBuffer>;
}

const SMALL = new Uint8Array(64);
const MEBIBYTE = "x".repeat(1 << 20);
const LARGE = new Uint8Array(64 << 20);

const ROWS: Row[] = [
  {
    name: "round trip, blocking",
    tasks: 2_000,
    run: (pool, tasks) => {
      for (let i = 0; i < tasks; i++) pool.submit(noop).result();
    },
    floor: SMALL,
  },
  {
    name: "round trip, awaited",
    tasks: 2_000,
    run: async (pool, tasks) => {
      for (let i = 0; i < tasks; i++) await pool.submit(noop);
    },
    floor: SMALL,
  },
  {
    name: "tasks in a row, a task",
    tasks: 10_000,
    run: (pool, tasks) => {
      const futures: Future<void>[] = [];
      for (let i = 0; i < tasks; i++) futures.push(pool.submit(noop));
      for (const future of futures) future.result();
    },
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
    name: "echo of 1 MiB of text",
    tasks: 50,
    run: (pool, tasks) => {
      for (let i = 0; i < tasks; i++) {
        if (pool.submit(echo<string>, MEBIBYTE).result() !== MEBIBYTE) throw new Error("Another text came back");
      }
    },
    floor: new Uint8Array(1 << 20),
  },
  {
    name: "echo of 64 MiB of bytes",
    tasks: 2,
    run: (pool, tasks) => {
      for (let i = 0; i < tasks; i++) {
        const { length } = pool.submit(echo<Uint8Array>, LARGE).result();
        if (length !== LARGE.length) throw new Error(`${length} bytes came back`);
      }
    },
    floor: LARGE,
  },
  {
    name: "new pool of 2 to its first results",
    tasks: 1,
    run: (_, tasks) => {
      for (let i = 0; i < tasks; i++) {
        using pool = new ProcessPoolExecutor(2);
        const futures = [pool.submit(noop), pool.submit(noop)];
        for (const future of futures) future.result();
      }
    },
  },
];

if (import.meta.main) {
  using pool = new ProcessPoolExecutor(2);
  await using cat = new Cat();
  const times = ROWS.map(() => ({ ours: [] as number[], floor: [] as number[] }));
  // The first round warms up: functions run unoptimized at first.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, { tasks, run, floor }] of ROWS.entries()) {
      const ours = await microseconds(tasks, () => run(pool, tasks));
      const bare = floor && await microseconds(tasks, () => cat.send(floor, tasks));
      if (round === 0) continue;
      times[i].ours.push(ours);
      if (bare !== undefined) times[i].floor.push(bare);
    }
  }
  console.log("µs                                    median       min       max          cat   ratio");
  for (const [i, { name }] of ROWS.entries()) {
    const { ours, floor } = times[i];
    const [mid, bare] = [median(ours), median(floor)];
    console.log(
      name.padEnd(34) + [mid, Math.min(...ours), Math.max(...ours)].map((n) => n.toFixed(2).padStart(10)).join("") +
        (bare === undefined
          ? "            -       -"
          : `${bare.toFixed(2).padStart(13)}${(mid / bare).toFixed(2).padStart(8)}`),
    );
  }
}
