/**
 * Four threads contend for one object of each class: nothing is lost, nothing comes twice, and all come to an end.
 */
import { assert } from "@std/assert";
import { Event, Lock } from "@concurrent/futures/sync";
import { sleep, test, within } from "../_helpers.ts";
import * as tasks from "./_contention.ts";
import { THREADS } from "./_contention.ts";
import { CONTENTIONS } from "./_contentions.ts";
import { lendThreads } from "./_threads.ts";

/** `deno task soak contend` has a million. */
const OPERATIONS = 8_000;
/** How long one row may take, in milliseconds. It takes a fifth of a second where nothing else runs. */
const BOUND = 60_000;

const threads = lendThreads(THREADS);

for (const [name, run] of Object.entries(CONTENTIONS)) {
  test(`${name}: four threads, ${OPERATIONS.toLocaleString("en")} operations`, async () => {
    await within(run(threads(), OPERATIONS), name, BOUND);
  }, { bound: BOUND });
}

test("Lock: nobody starves where all hold it for nearly all of the time", async () => {
  const [lock, isEnough] = [new Lock(), new Event()];
  const futures = Array.from({ length: THREADS }, () => threads().submit(tasks.hog, lock, isEnough));
  await sleep(700);
  isEnough.set();
  const times = await within(Promise.all(futures));
  assert(times.every((count) => count >= 20), `times that each one had it: ${times}`);
});
