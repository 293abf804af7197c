/** `ThreadPoolExecutorTest` of Python's test_thread_pool.py. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { ThreadPoolExecutor, TimeoutError, wait } from "@concurrent/futures";
import { Gate, Ledger, rejectionOf, startedWorkers, thrownBy, until, within, workerThreads } from "../_helpers.ts";
import { passGate, record, recordAll } from "../fixtures/tasks.ts";
import { addToShared, awaitWord } from "../fixtures/thread_tasks.ts";
import { row } from "./_rows.ts";

const NAME = "ThreadPoolExecutor";

/** Opens the gate of {@linkcode awaitWord}. */
function open(words: Int32Array): void {
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
}

export function threadPoolRows(): void {
  row(
    NAME,
    "test_map_submits_without_iteration: map runs everything, also where nobody reads its results",
    async () => {
      for (const blocking of [true, false]) {
        const shared = new SharedArrayBuffer(4);
        const pool = new ThreadPoolExecutor(2);
        pool.map(addToShared, Array(10).fill(shared), Array.from({ length: 10 }, (_, i) => i));
        if (blocking) pool.shutdownSync();
        else await within(pool.shutdown(), "shutdown()");
        assertEquals(new Int32Array(shared)[0], 45);
      }
    },
  );

  row(NAME, "test_default_workers: there are min(32, processors + 4) at the most", async () => {
    const expected = Math.min(32, navigator.hardwareConcurrency + 4);
    const before = startedWorkers();
    const words = new Int32Array(new SharedArrayBuffer(8));
    using pool = new ThreadPoolExecutor();
    try {
      const futures = Array.from({ length: expected + 5 }, () => pool.submit(awaitWord, words));
      await until(() => Atomics.load(words, 1) === expected, `${expected} tasks have started`);
      assertEquals(futures.filter((future) => future.running()).length, expected);
      open(words);
      await within(wait(futures), "wait()");
      assertEquals(startedWorkers() - before, expected);
    } finally {
      open(words);
    }
  });

  row(NAME, "test_saturation: 60 blocked tasks on four workers start exactly four", async () => {
    const before = startedWorkers();
    const threads = workerThreads();
    const words = new Int32Array(new SharedArrayBuffer(8));
    using pool = new ThreadPoolExecutor(4);
    try {
      const futures = Array.from({ length: 60 }, () => pool.submit(awaitWord, words));
      await until(() => Atomics.load(words, 1) === 4, "four tasks have started");
      assertEquals(futures.map((future) => future.state), [
        ...Array(4).fill("RUNNING"),
        ...Array(56).fill("PENDING"),
      ]);
      assertEquals(startedWorkers() - before, 4);
      if (threads !== undefined) assertEquals(workerThreads()! - threads, 4);
      open(words);
      await within(wait(futures), "wait()");
    } finally {
      open(words);
    }
  });

  row(NAME, "test_executor_map_current_future_cancel: map with no time left cancels what has not started", async () => {
    for (const blocking of [true, false]) {
      using pool = new ThreadPoolExecutor(1);
      using gate = new Gate();
      const ledger = new Ledger();
      const held = pool.submit(passGate<number>, gate.path, 1);
      await gate.arrived();
      const inputs = [Array(3).fill(ledger.path), [0, 1, 2], Array(3).fill([])] as const;
      const results = pool.map(recordAll, ...inputs, { timeout: 0, chunksize: 1 });
      const error = blocking
        ? thrownBy(() => results.next())
        : await rejectionOf(results[Symbol.asyncIterator]().next());
      assertInstanceOf(error, TimeoutError);
      assertEquals(results.next(), { done: true, value: undefined });
      const behind = pool.submit(record<number>, ledger.path, 3);
      gate.open();
      assertEquals(await within(Promise.all([held, behind])), [1, 3]);
      assertEquals(ledger.numbers(), [3], "neither the one that was waited for nor those behind it ran");
    }
  });
}
