/** Scenarios: very many tasks, futures and pools. */
import { assert, assertEquals } from "@std/assert";
import { asCompleted, FIRST_COMPLETED, type Future, type MapOptions, wait, waitSync } from "@concurrent/futures";
import { bestOf, BOUND, Gate, type Random, until, within, workerThreads } from "../_helpers.ts";
import type { Kind } from "../behaviour/kind.ts";
import { passLargeArrays, runBatches, streamAwaitedResults, streamResults } from "../behaviour/load.ts";
import { kind as processPool } from "../fixtures/kinds/process_pool.ts";
import { kind as threadPool } from "../fixtures/kinds/thread_pool.ts";
import { passGateLater } from "../fixtures/tasks.ts";
import { type Counted, type Scenario, workersFor } from "./_scenario.ts";
import { hash } from "./_tasks.ts";

const KINDS: Kind[] = [threadPool, processPool];

/** The load scenarios. */
export const LOAD: Scenario[] = KINDS.flatMap((kind) => {
  const isThreads = kind === threadPool;
  return [
    {
      name: `${kind.name}: small tasks through 4 workers, in bursts, awaited in different orders`,
      size: isThreads ? 4_000 : 2_500,
      fullSize: 1_000_000,
      run: (size, random) => bursts(kind, size, random),
    },
    {
      name: `${kind.name}: futures that are all waited for at once, in every way`,
      size: 500,
      fullSize: 10_000,
      run: (size) => waitForAll(kind, size),
    },
    {
      name: `${kind.name}: pools opened, used and closed, one way or another`,
      size: isThreads ? 8 : 4,
      fullSize: 1_000,
      // What Deno keeps for each pool that is closed before its threads have begun: see executors/threads/README.md.
      mostResident: isThreads ? 300 : undefined,
      run: (size, random) => pools(kind, size, random),
    },
    {
      name: `${kind.name}: a timer of 1 ms goes on while map() of 100,000 items is read by for await`,
      size: 100_000,
      fullSize: 1_000_000,
      run: (size) => watchMaps(kind, size),
    },
    {
      name: `${kind.name}: batches of mixed sizes, with cancelled tasks between them`,
      size: 5,
      fullSize: 2_000,
      run: async (size) => {
        using pool = kind.make({ maxWorkers: 2 });
        return { tasks: await runBatches(pool, size) };
      },
    },
    {
      name: `${kind.name}: a large typed array goes there and back`,
      size: 2,
      fullSize: 256,
      run: async (size) => {
        using pool = kind.make({ maxWorkers: 1 });
        return { tasks: await passLargeArrays(pool, size << 20), more: `${size} MiB` };
      },
    },
  ] satisfies Scenario[];
});

/** What the behaviour suite has a smaller share of. */
export const STREAMS: Scenario[] = KINDS.flatMap((kind) =>
  [
    {
      name: `${kind.name}: a timer of 10 ms goes on while results stream in`,
      size: 30_000,
      fullSize: 100_000,
      run: async (size) => {
        using pool = kind.make({ maxWorkers: 2 });
        await bestOf(4, () => streamResults(pool, size));
        return { tasks: size };
      },
    },
    {
      name: `${kind.name}: a timer of 10 ms goes on while awaited results stream in`,
      size: 30_000,
      fullSize: 100_000,
      run: async (size) => {
        using pool = kind.make({ maxWorkers: 2 });
        await bestOf(4, () => streamAwaitedResults(pool, size));
        return { tasks: size };
      },
    },
  ] satisfies Scenario[]
);

// ---- bursts -------------------------------------------------------------------------------------------------------

/** How many tasks a burst has at the most: more than there is room for in the shared memory of a pool. */
const LARGEST_BURST = 20_000;

/** How many bursts are under way at once. */
const MOST_BURSTS = 3;

/** Waits for futures of which the nth has the value `hash(first + n)`. */
type Order = (futures: Future<number>[], random: Random) => Promise<unknown> | void;

const ORDERS: Record<string, Order> = {
  async "one after the other"(futures) {
    for (const future of futures) await future;
  },
  async "the last one first"(futures) {
    for (const future of futures.toReversed()) await future;
  },
  async "shuffled"(futures, random) {
    for (const future of random.shuffled(futures)) await future;
  },
  "all together": (futures) => Promise.all(futures),
  async "only the last one, and then the others"(futures) {
    await futures.at(-1);
    await Promise.all(futures);
  },
  async "wait()"(futures) {
    assertEquals((await wait(futures)).notDone.size, 0);
  },
  async "asCompleted(), awaited"(futures) {
    const seen = new Set<Future<number>>();
    for await (const future of asCompleted(futures)) seen.add(future);
    assertEquals(seen.size, futures.length, "each once");
  },
  "callbacks": (futures) =>
    new Promise<void>((resolve) => {
      let left = futures.length;
      for (const future of futures) {
        future.addDoneCallback(() => {
          if (--left === 0) resolve();
        });
      }
    }),
  "blocking, shuffled"(futures, random) {
    for (const future of random.shuffled(futures)) future.result(BOUND);
  },
  "waitSync()"(futures) {
    assertEquals(waitSync(futures, { timeout: BOUND }).notDone.size, 0);
  },
  "asCompleted(), blocking"(futures) {
    const seen = new Set<Future<number>>();
    for (const future of asCompleted(futures, { timeout: BOUND })) seen.add(future);
    assertEquals(seen.size, futures.length, "each once");
  },
};

async function bursts(kind: Kind, size: number, random: Random): Promise<Counted> {
  const pool = kind.make({ maxWorkers: workersFor(size, 600) });
  const underWay: { first: number; futures: Future<number>[] }[] = [];
  let submitted = 0;
  while (submitted < size || underWay.length > 0) {
    if (submitted < size && underWay.length < MOST_BURSTS) {
      // As many small bursts as large ones, though most tasks are in the large ones.
      const length = Math.min(size - submitted, LARGEST_BURST >> random.below(14));
      const first = submitted;
      underWay.push({ first, futures: Array.from({ length }, (_, i) => pool.submit(hash, first + i)) });
      submitted += length;
      continue;
    }
    const [{ first, futures }] = underWay.splice(random.below(underWay.length), 1);
    const order = random.of(Object.keys(ORDERS));
    await within(Promise.resolve(ORDERS[order](futures, random)), `${futures.length} tasks, ${order}`, 3 * BOUND);
    for (const [i, future] of futures.entries()) {
      if (future.result(0) !== hash(first + i)) assertEquals(future.result(0), hash(first + i), `task ${first + i}`);
    }
  }
  await within(pool.shutdown(), "shutdown()");
  return { tasks: size };
}

// ---- waiting ------------------------------------------------------------------------------------------------------

/** Everybody waits before the first task can run; then all are told at once. */
async function waitForAll(kind: Kind, size: number): Promise<Counted> {
  const pool = kind.make({ maxWorkers: 2 });
  {
    using gate = new Gate();
    const held = [1, 2].map(() => pool.submit(passGateLater, gate.path));
    await gate.arrived(2);
    const futures = Array.from({ length: size }, (_, i) => pool.submit(hash, i));
    let called = 0;
    for (const future of futures) future.addDoneCallback(() => called++);
    const completed = (async () => {
      const seen = new Set<Future<number>>();
      for await (const future of asCompleted(futures)) seen.add(future);
      return seen.size;
    })();
    const waits = Promise.all([
      wait(futures),
      wait(futures, { returnWhen: FIRST_COMPLETED }),
      Promise.all(futures.map(async (future) => await future)),
      Promise.all(futures.map((future, i) => wait([future, futures[(i + 1) % size]], { timeout: 3 * BOUND }))),
      completed,
    ]);
    assertEquals(futures.filter((future) => future.done()).length, 0, "none can have run");
    gate.open();
    const [all, first, values, pairs, seen] = await within(waits, `${size} futures that are waited for`, 3 * BOUND);
    assertEquals([all.done.size, all.notDone.size], [size, 0]);
    assert(first.done.size > 0 && first.done.size + first.notDone.size === size);
    assert(values.every((value, i) => value === hash(i)), "a future has the value of another one");
    assert(pairs.every(({ done }) => done.size === 2));
    assertEquals([seen, called], [size, size]);
    await within(Promise.all(held));
  }
  const futures = Array.from({ length: size }, (_, i) => pool.submit(hash, i));
  const { done } = waitSync(futures, { timeout: 3 * BOUND });
  assertEquals(done.size, size);
  for (const [i, future] of futures.entries()) assert(future.result(0) === hash(i));
  await within(pool.shutdown(), "shutdown()");
  return { tasks: 2 * size };
}

// ---- pools --------------------------------------------------------------------------------------------------------

/** How many pools are open at once. */
const POOLS_AT_ONCE = 4;

async function pools(kind: Kind, size: number, random: Random): Promise<Counted> {
  const threads = workerThreads();
  let opened = 0;
  let tasks = 0;
  const openMore = async (): Promise<void> => {
    while (opened < size) {
      opened++;
      const count = random.below(4);
      tasks += count;
      await openAndClose(kind, count, random);
    }
  };
  await Promise.all(Array.from({ length: POOLS_AT_ONCE }, openMore));
  // Where shutdown() did not wait, workers end a moment later: who counts them waits for that.
  assert((workerThreads() ?? 0) <= (threads ?? 0) + 2 * POOLS_AT_ONCE, "threads outlive their pools");
  return { tasks, more: `${size} pools` };
}

async function openAndClose(kind: Kind, count: number, random: Random): Promise<void> {
  const pool = kind.make({ maxWorkers: 1 + random.below(2) });
  const numbers = Array.from({ length: count }, () => random.below(2 ** 31));
  const futures = numbers.map((n) => pool.submit(hash, n));
  const close = random.of(["await", "block", "forget", "cancel"]);
  switch (close) {
    case "await":
      await within(pool.shutdown(), "shutdown()");
      break;
    case "block":
      pool.shutdownSync();
      break;
    case "forget":
      await pool.shutdown({ wait: false });
      break;
    case "cancel":
      await within(pool.shutdown({ cancelFutures: true }), "shutdown()");
  }
  if (close !== "forget") assert(futures.every((future) => future.done()), "shutdown() has waited");
  for (const [i, future] of futures.entries()) {
    if (close === "cancel" && future.cancelled()) continue;
    assertEquals(await within(future, "a task of a pool that was shut down"), hash(numbers[i]));
  }
}

// ---- map and a timer ----------------------------------------------------------------------------------------------

/** By how much a timer may be late on a machine that does nothing else, in milliseconds. */
const MOST_LATE = 50;

/** The most items that one call of map() has; all of them are read during the call. */
const MAP_ITEMS = 100_000;

/**
 * A timer on this thread, and as a control one on a thread that does nothing but that, at the same time: what the
 * machine is late by, with all that else goes on there, it is late by on both.
 */
class Timers implements Disposable {
  /** By how many microseconds the control was late, and how often it was called. */
  readonly #control = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker = new Worker(`data:application/javascript,${encodeURIComponent(CONTROL)}`, { type: "module" });
  readonly #timer = setInterval(() => this.look(), 1);
  #last = performance.now();
  #latest = 0;

  static async start(): Promise<Timers> {
    const timers = new Timers();
    timers.#worker.postMessage(timers.#control);
    await until(() => timers.#control[1] > 1, "the control's timer");
    return timers;
  }

  /** Forgets what has been until now. */
  reset(): void {
    this.#last = performance.now();
    this.#latest = 0;
    Atomics.store(this.#control, 0, 0);
  }

  /** Also to be called when the work is done, which may have kept the timer from being called at all. */
  look(): void {
    const now = performance.now();
    this.#latest = Math.max(this.#latest, now - this.#last - 1);
    this.#last = now;
  }

  /** By how many milliseconds the timer and the control were late at the worst. */
  get latest(): [number, number] {
    return [this.#latest, Atomics.load(this.#control, 0) / 1_000];
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#worker.terminate();
  }
}

const CONTROL = `onmessage = ({ data }) => {
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    Atomics.store(data, 0, Math.max(Atomics.load(data, 0), (now - last - 1) * 1000));
    Atomics.add(data, 1, 1);
    last = now;
  }, 1);
};`;

/**
 * How the options of map() say how many items are on their way; without them all are, and the call itself takes its
 * time.
 */
const WAYS: MapOptions[] = [{}, { buffersize: 1_000, chunksize: 50 }, { buffersize: 20_000, chunksize: 200 }];

/** How many items show what a buffer does, where there is not more to do: twice what the largest one holds. */
const ENOUGH = 40_000;

async function watchMaps(kind: Kind, size: number): Promise<Counted> {
  const pool = kind.make({ maxWorkers: workersFor(size, 50_000) });
  const worst = { late: 0, control: 0, call: 0 };
  let tasks = 0;
  using timers = await Timers.start();
  for (let left = size; left > 0; left -= MAP_ITEMS) {
    const all = Array.from({ length: Math.min(left, MAP_ITEMS) }, (_, i) => i);
    for (const options of WAYS) {
      const items = options.buffersize === undefined || size > MAP_ITEMS ? all : all.slice(0, ENOUGH);
      tasks += items.length;
      // A machine may be busy with something else now and then; a fault is there each time.
      await bestOf(3, async () => {
        timers.reset();
        const start = performance.now();
        const results = pool.map(hash, items, options);
        if (options.buffersize === undefined) {
          // It has read and copied all items, as it must, during which no timer can be called.
          worst.call = Math.max(worst.call, performance.now() - start);
          timers.reset();
        }
        let n = 0;
        const read = async () => {
          for await (const value of results) if (value !== hash(n++)) assertEquals(value, hash(n - 1), `item ${n - 1}`);
        };
        await within(read(), `map(${Deno.inspect(options)})`, 3 * BOUND);
        timers.look();
        assertEquals(n, items.length);
        const [late, control] = timers.latest;
        assert(
          late <= MOST_LATE + 2 * control,
          `map(${Deno.inspect(options)}): the timer was late by ${late.toFixed(1)} ms, the control by ${
            control.toFixed(1)
          } ms`,
        );
        if (late > worst.late) Object.assign(worst, { late, control });
      });
    }
  }
  await within(pool.shutdown(), "shutdown()");
  const more = `control ${worst.control.toFixed(1)} ms, the call took ${worst.call.toFixed(1)} ms`;
  return { tasks, latest: worst.late, more };
}
