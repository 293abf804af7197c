/** Python's test_init.py: initializers that work, and that do not. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { BrokenExecutor } from "@concurrent/futures";
import { bothFail, childProcesses, thrownBy, until, within } from "../_helpers.ts";
import type { Kind } from "../behaviour/kind.ts";
import { failToStart, square } from "../fixtures/tasks.ts";
import { getState, setState } from "./_tasks.ts";
import { row } from "./_rows.ts";

export function initRows(kind: Kind): void {
  const { name, make, broken } = kind;

  /** A pool whose initializer throws: what its futures and its later submits say. */
  async function assertBroken(): Promise<void> {
    const pool = make({ maxWorkers: 2, initializer: failToStart, initargs: ["no way in"] });
    const futures = Array.from({ length: 4 }, (_, i) => pool.submit(square, i));
    const check = (error: BrokenExecutor) => {
      assertInstanceOf(error, broken);
      assertInstanceOf(error, BrokenExecutor);
      assertInstanceOf(error.cause, RangeError);
      assertEquals((error.cause as RangeError).message, "no way in");
    };
    for (const future of futures) await bothFail(future, check);
    assertEquals(new Set(futures.map((future) => future.exception())).size, 4, "each has an error of its own");
    check(thrownBy(() => pool.submit(square, 1)));
    check(thrownBy(() => [...pool.map(square, [1])]));
    await within(pool.shutdown(), "shutdown()");
  }

  row(name, "test_initializer: each worker has run it, with its arguments, before its first task", async () => {
    using pool = make({ maxWorkers: 2, initializer: setState, initargs: ["initialized"] });
    const futures = Array.from({ length: 10 }, () => pool.submit(getState));
    for (const [i, future] of futures.entries()) {
      assertEquals(i % 2 === 0 ? future.result(10_000) : await within(future), "initialized");
    }
    assertEquals(getState(), "untouched", "this thread's own state");
  });

  row(name, "test_initializer: where it fails, futures and later submits throw, with its error as cause", assertBroken);
}

export function initResourceRows(kind: Kind): void {
  row(kind.name, "test_spawn: a pool whose initializer fails leaves no process and no open file", async () => {
    const fail = async () => {
      const pool = kind.make({ maxWorkers: 2, initializer: failToStart, initargs: ["no way in"] });
      await bothFail(pool.submit(square, 1), (error) => assertInstanceOf(error, kind.broken));
      await within(pool.shutdown(), "shutdown()");
    };
    await fail(); // what the first pool of a program opens for good
    const before = openFiles();
    const rounds = 6;
    for (let i = 0; i < rounds; i++) await fail();
    assertEquals(childProcesses() ?? [], []);
    // What belongs to threads is closed a moment after they have ended; one that stays of each pool would be too many.
    await until(() => openFiles() - before < rounds, `${before} open files again`);
  });
}

/** How many files, pipes and sockets this process has open, where the system tells. */
function openFiles(): number {
  return Deno.build.os === "linux" ? [...Deno.readDirSync("/proc/self/fd")].length : 0;
}
