/** `AsCompletedTests` of Python's test_as_completed.py. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { asCompleted, type AsCompletedOptions, Future, TimeoutError } from "@concurrent/futures";
import { Gate, outputOf, within } from "../_helpers.ts";
import { borrow } from "../behaviour/borrow.ts";
import type { Kind } from "../behaviour/kind.ts";
import { passGate, square } from "../fixtures/tasks.ts";
import { holdAt } from "./_tasks.ts";
import { row } from "./_rows.ts";

/** What an iteration yielded, and what ended it. */
interface Read {
  futures: Future<unknown>[];
  error: unknown;
}

async function read(
  blocking: boolean,
  fs: Iterable<Future<unknown>>,
  options?: AsCompletedOptions,
): Promise<Read> {
  const futures: Future<unknown>[] = [];
  const run = async () => {
    if (blocking) { for (const future of asCompleted(fs, options)) futures.push(future); }
    else for await (const future of asCompleted(fs, options)) futures.push(future);
  };
  let error: unknown;
  await within(run().catch((thrown) => error = thrown), "asCompleted()");
  return { futures, error };
}

/** Futures that are done: cancelled, failed, succeeded. */
function doneFutures(): Future<unknown>[] {
  const [cancelled, failed, succeeded] = [new Future<unknown>(), new Future<unknown>(), new Future<unknown>()];
  cancelled.cancel();
  cancelled.setRunningOrNotifyCancel();
  failed.setException(new RangeError("failed before"));
  succeeded.setResult(42);
  return [cancelled, failed, succeeded];
}

export function asCompletedRows(kind: Kind): void {
  const { name, module } = kind;

  row(name, "test_no_timeout: futures that are done and futures of a pool are all yielded", async () => {
    using pool = borrow(kind, 2);
    for (const blocking of [true, false]) {
      const futures: Future<unknown>[] = [...doneFutures(), pool.submit(square, 2), pool.submit(square, 3)];
      const { futures: seen, error } = await read(blocking, futures);
      assertEquals(error, undefined);
      assertEquals(seen.length, 5);
      assertEquals(new Set(seen), new Set(futures));
    }
  });

  row(name, "test_future_times_out: after 0 or 100 ms only what is done has been yielded", async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const held = pool.submit(passGate, gate.path);
    for (const blocking of [true, false]) {
      for (const timeout of [0, 100]) {
        const done = doneFutures();
        const { futures: seen, error } = await read(blocking, [...done, held], { timeout });
        assertInstanceOf(error, TimeoutError);
        assertEquals(seen.length, 3);
        assertEquals(new Set(seen), new Set(done));
      }
    }
    gate.open();
    await within(held);
  });

  row(name, "test_duplicate_futures: a future that is given three times is yielded once, by any iterable", async () => {
    using pool = borrow(kind, 1);
    function* thrice(future: Future<unknown>): Generator<Future<unknown>> {
      for (let i = 0; i < 3; i++) yield future;
    }
    for (const blocking of [true, false]) {
      const unfinished = pool.submit(square, 2);
      assertEquals((await read(blocking, thrice(unfinished))).futures.length, 1);
      assertEquals((await read(blocking, thrice(unfinished))).futures.length, 1, "now that it is done");
      const other = pool.submit(square, 3);
      assertEquals((await read(blocking, [other, other, other])).futures.length, 1);
      assertEquals((await read(blocking, new Set([other]))).futures.length, 1);
    }
  });

  row(name, "test_free_reference_yielded_future: what was yielded is not kept, across a timeout either", async () => {
    const flags = ["-A", "--v8-flags=--expose-gc"];
    assertEquals(await outputOf("../../cpython/programs/references.ts", [module, "yielded"], { flags }), {
      blocking: [true, true, true],
      awaited: [true, true, true],
      timedOut: ["TimeoutError", "TimeoutError"],
    });
  });

  row(name, "test_correct_timeout_exception_msg: the message counts the unfinished, duplicates once", async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const held = [pool.submit(holdAt, gate.path), pool.submit(holdAt, gate.path)];
    for (const blocking of [true, false]) {
      const { error } = await read(blocking, [...doneFutures(), ...held, ...held], { timeout: 0 });
      assert(error instanceof TimeoutError);
      assertEquals(error.message, "2 (of 5) futures unfinished");
    }
    gate.open();
    await within(Promise.all(held));
  });
}
