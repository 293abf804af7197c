/** Scenarios: very many tasks, futures and pools. */
import { assert, assertEquals } from "@std/assert";
import { asCompleted, FIRST_COMPLETED, type Future, wait, waitSync } from "@concurrent/futures";
import { BOUND, Gate, type Random, within, workerThreads } from "../_helpers.ts";
import type { Kind } from "../behaviour/kind.ts";
import { kind as processPool } from "../fixtures/kinds/process_pool.ts";
import { kind as threadPool } from "../fixtures/kinds/thread_pool.ts";
import { passGateLater } from "../fixtures/tasks.ts";
import type { Counted, Scenario } from "./_scenario.ts";
import { hash } from "./_tasks.ts";

const KINDS: Kind[] = [threadPool, processPool];

/** The load scenarios. */
export const LOAD: Scenario[] = KINDS.flatMap((kind) => {
  const isThreads = kind === threadPool;
  return [
    {
      name: `${kind.name}: small tasks through 4 workers, in bursts, awaited in different orders`,
      size: isThreads ? 60_000 : 20_000,
      fullSize: 1_000_000,
      run: (size, random) => bursts(kind, size, random),
    },
    {
      name: `${kind.name}: futures that are all waited for at once, in every way`,
      size: 10_000,
      fullSize: 10_000,
      run: (size) => waitForAll(kind, size),
    },
    {
      name: `${kind.name}: pools opened, used and closed, one way or another`,
      size: isThreads ? 60 : 12,
      fullSize: 1_000,
      run: (size, random) => pools(kind, size, random),
    },
  ] satisfies Scenario[];
});

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
  const pool = kind.make({ maxWorkers: 4 });
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
  const pool = kind.make({ maxWorkers: 4 });
  {
    using gate = new Gate();
    const held = [1, 2, 3, 4].map(() => pool.submit(passGateLater, gate.path));
    await gate.arrived(4);
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
