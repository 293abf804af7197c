/** What the tests do a little of, and `deno task soak` much. */
import { assertEquals } from "@std/assert";
import type { ClusterExecutor } from "@concurrent/futures/cluster";
import { within } from "../_helpers.ts";
import { square } from "../fixtures/tasks.ts";

/** Adds so many jobs at once, by all executors in turn, and looks whether each future has its own result. */
export async function addAtOnce(pools: readonly ClusterExecutor[], count: number): Promise<void> {
  const futures = Array.from({ length: count }, (_, i) => pools[i % pools.length].submit(square, i));
  assertEquals(await within(Promise.all(futures), `${count} jobs`, 40_000), futures.map((_, i) => i * i));
}
