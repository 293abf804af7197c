/** Python's own tests of `concurrent.futures`, as tests of this library: README.md tells which is which. */
import { lendPools } from "../behaviour/borrow.ts";
import { kind as processes } from "../fixtures/kinds/process_pool.ts";
import { kind as threads } from "../fixtures/kinds/thread_pool.ts";
import { asCompletedRows } from "./as_completed.ts";
import { deadlockRows, processDeadlockRows } from "./deadlock.ts";
import { tableTest } from "./_table.ts";
import { executorRows } from "./executor.ts";
import { futureRows } from "./future.ts";
import { initResourceRows, initRows } from "./init.ts";
import { interpreterRows, threadInterpreterRows } from "./interpreter_pool.ts";
import { processPoolRows } from "./process_pool.ts";
import { processShutdownRows, shutdownRows, threadShutdownRows } from "./shutdown.ts";
import { threadPoolRows } from "./thread_pool.ts";
import { threadWaitRows, waitRows } from "./wait.ts";

for (const kind of [threads, processes]) {
  lendPools(kind);
  executorRows(kind);
  asCompletedRows(kind);
  deadlockRows(kind);
  initRows(kind);
  interpreterRows(kind);
  shutdownRows(kind);
  waitRows(kind);
}
futureRows();

threadInterpreterRows();
threadShutdownRows();
threadPoolRows();
threadWaitRows();

processDeadlockRows();
initResourceRows(processes);
processPoolRows();
processShutdownRows();

tableTest();
