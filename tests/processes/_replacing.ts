/**
 * A pool of two processes that the tests of a file share, and which replaces those that die: to start one of its own
 * costs a test three processes.
 */
import { ProcessPoolExecutor } from "@concurrent/futures";
import { restoreAfterFailure, shareWhatLives, within } from "../_helpers.ts";
import { echo } from "../fixtures/tasks.ts";

/** Starts it before the first test and ends it after the last one; what is returned gives it to a test. */
export function lendReplacing(): () => ProcessPoolExecutor {
  let replacing: ProcessPoolExecutor;
  const start = async () => {
    replacing = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash: "replace" });
    await within(replacing.submit(echo, 1));
    shareWhatLives();
  };
  Deno.test.beforeAll(start);
  Deno.test.afterAll(() => replacing.shutdown());
  restoreAfterFailure(start);
  return () => replacing;
}

/** To be called at the end of a test in which a process has died: the one in its place stays for the next test. */
export function keepReplaced(): void {
  shareWhatLives();
}
