/**
 * {@linkcode ClusterExecutor}: the behaviour of every executor, as far as submitting, cancelling and shutting down go;
 * the rest of it is in `behaviour_more_test.ts`. What only clusters have is beside this file.
 */
import { lendPools } from "../behaviour/borrow.ts";
import { cancelBehaviour } from "../behaviour/cancel.ts";
import { shutdownBehaviour } from "../behaviour/shutdown.ts";
import { submitBehaviour } from "../behaviour/submit.ts";
import { kind } from "../fixtures/kinds/cluster.ts";
import { startForAll } from "./_behaviour.ts";
import { ignoreWithoutServer } from "./_kit.ts";
import { hasServer } from "./_redis.ts";

if (hasServer) {
  await startForAll(1, 2);
  lendPools(kind);
  submitBehaviour(kind);
  cancelBehaviour(kind);
  shutdownBehaviour(kind);
} else {
  ignoreWithoutServer("ClusterExecutor: the behaviour of every executor");
}
