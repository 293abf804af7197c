/** Threads that the tests of a file share: to start them costs more than what most of these tests do. */
import { ThreadPoolExecutor } from "@concurrent/futures";
import { Barrier } from "@concurrent/futures/sync";
import { restoreAfterFailure, shareWorkers, within } from "../_helpers.ts";

/** Starts a pool before the first test of a file, and ends it after the last one; gives the pool to a test. */
export function lendThreads(count: number): () => ThreadPoolExecutor {
  const pools: ThreadPoolExecutor[] = [];
  const start = async () => {
    // Those before it, which a failure has ended, stay: else something of theirs ends during some test.
    const pool = new ThreadPoolExecutor(count);
    pools.push(pool);
    const barrier = new Barrier(count);
    // Each thread waits there for the others, so all are started.
    const started = Array.from({ length: count }, () => pool.submit((all: Barrier) => void all.wait(), barrier));
    await within(Promise.all(started), "the threads that tests share");
    shareWorkers();
  };
  Deno.test.beforeAll(start);
  Deno.test.afterAll(() => pools.at(-1)!.shutdown());
  restoreAfterFailure(start);
  return () => pools.at(-1)!;
}
