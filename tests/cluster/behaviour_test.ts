/**
 * {@linkcode ClusterExecutor}: the behaviour of every executor; the rest of it is in `behaviour_more.ts`. Left out is what it does not have, initializers and functions
 * without an export, and what takes too long on a network: bursts of 100,000. What only clusters have is beside this file.
 */
import { cancelBehaviour } from "../behaviour/cancel.ts";
import { exitBehaviour } from "../behaviour/exits.ts";
import { mapEndBehaviour } from "../behaviour/map_end.ts";
import { programEndBehaviour } from "../behaviour/programs.ts";
import { shutdownBehaviour } from "../behaviour/shutdown.ts";
import { submitBehaviour } from "../behaviour/submit.ts";
import { waitingBehaviour } from "../behaviour/waiting.ts";
import { kind } from "../fixtures/kinds/cluster.ts";
import { startForAll } from "./_behaviour.ts";
import { ignoreWithoutServer } from "./_kit.ts";
import { hasServer } from "./_redis.ts";

if (hasServer) {
  await startForAll();
  submitBehaviour(kind);
  cancelBehaviour(kind);
  waitingBehaviour(kind);
  mapEndBehaviour(kind);
  exitBehaviour(kind);
  shutdownBehaviour(kind);
  programEndBehaviour(kind);
} else {
  ignoreWithoutServer("ClusterExecutor: the behaviour of every executor");
}
