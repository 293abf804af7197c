/**
 * {@linkcode ClusterExecutor}: the behaviour of every executor, as far as tasks are stopped, watched, and tell of
 * themselves.
 */
import { lendPools } from "../behaviour/borrow.ts";
import { controlBehaviour } from "../behaviour/control.ts";
import { progressBehaviour } from "../behaviour/progress.ts";
import { signalBehaviour } from "../behaviour/signals.ts";
import { traceBehaviour } from "../behaviour/trace.ts";
import { kind } from "../fixtures/kinds/cluster.ts";
import { startForAll } from "./_behaviour.ts";
import { ignoreWithoutServer } from "./_kit.ts";
import { hasServer } from "./_redis.ts";

if (hasServer) {
  await startForAll(1, 2);
  lendPools(kind);
  controlBehaviour(kind);
  progressBehaviour(kind);
  signalBehaviour(kind);
  traceBehaviour(kind);
} else {
  ignoreWithoutServer("ClusterExecutor: the behaviour of every executor, as far as tasks are stopped and watched");
}
