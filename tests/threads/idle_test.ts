/** A task waits for no thread while another one is idle, or could be started: whatever holds the first one up. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type Future, ThreadPoolExecutor, TimeoutError, transfer } from "@concurrent/futures";
import { pause, sleep, startedWorkers, test, thrownBy, untilSync, within } from "../_helpers.ts";
import { lengthOf, square } from "../fixtures/tasks.ts";
import { lingering } from "../fixtures/lingering.ts";
import { answerOn, awaitWordAndTellName, awaitWordInFirstThread, linger } from "../fixtures/thread_tasks.ts";

/** How long a task may take that takes no time, in milliseconds: one that nobody takes is noticed after it. */
const SOON = 3_000;

/** A word that holds tasks while it is 0, and how many of them have arrived. Lets them go at the end of its block. */
class Word implements Disposable {
  readonly words = new Int32Array(new SharedArrayBuffer(8));

  arrivedSync(count = 1): void {
    untilSync(() => Atomics.load(this.words, 1) === count, `${count} tasks at the word`);
  }

  change(): void {
    Atomics.store(this.words, 0, 1);
    Atomics.notify(this.words, 0);
  }

  [Symbol.dispose](): void {
    this.change();
  }
}

/** Starts two threads and lets the first one go, until it sleeps; gives the word that holds the second one. */
function startTwo(pool: ThreadPoolExecutor): { held: Word; holding: Future<string> } {
  const words = [new Word(), new Word()];
  const futures = words.map((word) => {
    const future = pool.submit(awaitWordAndTellName, word.words);
    word.arrivedSync();
    return future;
  });
  // Each has taken the one that was submitted when it was started.
  words[0].change();
  assert(futures[0].result(SOON).endsWith("_0"));
  return { held: words[1], holding: futures[1] };
}

/** Has a thread held up by a task that has ended for who waits for it. */
function leave(pool: ThreadPoolExecutor, how: string, word: Word): void {
  // Once, because the first call of a function takes turns of the event loop.
  pool.submit(linger, "nothing", word.words).result(SOON);
  pool.submit(linger, how, word.words).exception(SOON);
  word.arrivedSync();
}

const ways = {
  blocked: <T>(future: Future<T>) => Promise.resolve(future.result(SOON)),
  awaited: <T>(future: Future<T>) => within(future, "a task that no thread takes", SOON),
};

for (const [way, get] of Object.entries(ways)) {
  for (const how of Object.keys(lingering)) {
    test(`ThreadPoolExecutor: a task is taken by an idle thread while ${how} holds the first one, ${way}`, async () => {
      using pool = new ThreadPoolExecutor(2);
      const { held, holding } = startTwo(pool);
      using word = new Word();
      leave(pool, how, word);
      held.change();
      holding.result(SOON);
      // So that this thread has looked for the tasks before, and looks for this one because of it.
      await sleep(50);
      for (let i = 0; i < 3; i++) {
        // Until the other one sleeps.
        pause(5);
        assertEquals(await get(pool.submit(square, i)), i * i);
      }
      // Both at once, when the first one has come back.
      word.change();
      assertEquals(await get(pool.submit(square, 9)), 81);
    });

    test(`ThreadPoolExecutor: a thread is started for a task while ${how} holds the only one, ${way}`, async () => {
      using pool = new ThreadPoolExecutor(2);
      const before = startedWorkers();
      using word = new Word();
      leave(pool, how, word);
      await sleep(50);
      for (let i = 0; i < 3; i++) assertEquals(await get(pool.submit(square, i)), i * i);
      assertEquals(startedWorkers() - before, 2);
    });
  }

  test(`ThreadPoolExecutor: no task waits for a thread that has not left its last one, ${way}`, async () => {
    using pool = new ThreadPoolExecutor(2);
    const { held, holding } = startTwo(pool);
    using word = new Word();
    leave(pool, "a task that goes on after Deno.exit()", word);
    held.change();
    holding.result(SOON);
    for (let i = 0; i < 3; i++) {
      pause(5);
      // By message, where a thread is idle.
      assertEquals(await get(pool.submit(lengthOf, "x".repeat(100_000))), 100_000);
      const { port1, port2 } = new MessageChannel();
      assertEquals(await get(pool.submit(answerOn, transfer({ port: port2 }, [port2]), "a question")), "answered");
      port1.close();
    }
  });

  test(`ThreadPoolExecutor: a thread is started for a port while the only one is held up, ${way}`, async () => {
    using pool = new ThreadPoolExecutor(2);
    using word = new Word();
    leave(pool, "a task that goes on after Deno.exit()", word);
    await sleep(50);
    for (let i = 0; i < 3; i++) {
      const { port1, port2 } = new MessageChannel();
      assertEquals(await get(pool.submit(answerOn, transfer({ port: port2 }, [port2]), "a question")), "answered");
      port1.close();
    }
  });

  test(`ThreadPoolExecutor: no task waits for an initializer while another thread is idle, ${way}`, async () => {
    using word = new Word();
    using pool = new ThreadPoolExecutor({ maxWorkers: 2, initializer: awaitWordInFirstThread, initargs: [word.words] });
    const first = pool.submit(square, 1);
    word.arrivedSync();
    const second = pool.submit(square, 2);
    assertEquals([await get(first), await get(second)], [1, 4]);
    // Nor does one that is submitted before the other one is idle.
    using held = new Word();
    const holding = pool.submit(awaitWordAndTellName, held.words);
    held.arrivedSync();
    const large = pool.submit(lengthOf, "x".repeat(100_000));
    held.change();
    assertEquals(await get(large), 100_000);
    assert((await get(holding)).endsWith("_1"));
    for (let i = 0; i < 3; i++) {
      pause(5);
      assertEquals(await get(pool.submit(square, i)), i * i);
      assertEquals(await get(pool.submit(lengthOf, "x".repeat(100_000))), 100_000);
      const { port1, port2 } = new MessageChannel();
      assertEquals(await get(pool.submit(answerOn, transfer({ port: port2 }, [port2]), "a question")), "answered");
      port1.close();
    }
  });
}

test("ThreadPoolExecutor starts one thread for one task, however long its initializer takes", () => {
  using word = new Word();
  using pool = new ThreadPoolExecutor({ maxWorkers: 4, initializer: awaitWordInFirstThread, initargs: [word.words] });
  const before = startedWorkers();
  const future = pool.submit(square, 3);
  word.arrivedSync();
  // Longer than it takes until the pool looks for a thread that could take it.
  assertInstanceOf(thrownBy(() => future.result(200)), TimeoutError);
  assertEquals(startedWorkers() - before, 1);
  word.change();
  assertEquals(future.result(SOON), 9);
  assertEquals(startedWorkers() - before, 1);
});
