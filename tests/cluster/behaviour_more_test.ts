/**
 * {@linkcode ClusterExecutor}: the rest of the behaviour of every executor. Left out is what clusters do not have,
 * initializers and functions without an export, and what takes too long on a network: bursts of 100,000.
 */
import { lendPools } from "../behaviour/borrow.ts";
import { boundBehaviour } from "../behaviour/bounds.ts";
import { errorBehaviour } from "../behaviour/errors.ts";
import { exitBehaviour } from "../behaviour/exits.ts";
import { mapBehaviour } from "../behaviour/map.ts";
import { mapEndBehaviour } from "../behaviour/map_end.ts";
import { mapOptionsBehaviour } from "../behaviour/map_options.ts";
import { mapRepeatBehaviour } from "../behaviour/map_repeat.ts";
import { mapSettledBehaviour } from "../behaviour/map_settled.ts";
import { mapUnorderedBehaviour } from "../behaviour/map_unordered.ts";
import { programEndBehaviour } from "../behaviour/programs.ts";
import { refusedBehaviour } from "../behaviour/refused.ts";
import { statsBehaviour } from "../behaviour/stats.ts";
import { valueBehaviour } from "../behaviour/values.ts";
import { waitingBehaviour } from "../behaviour/waiting.ts";
import { kind } from "../fixtures/kinds/cluster.ts";
import { stackBehaviour } from "../behaviour/stacks.ts";
import { startForAll } from "./_behaviour.ts";
import { ignoreWithoutServer } from "./_kit.ts";
import { hasServer } from "./_redis.ts";

if (hasServer) {
  await startForAll(1, 2, 4);
  lendPools(kind);
  valueBehaviour(kind);
  refusedBehaviour(kind);
  errorBehaviour(kind);
  stackBehaviour(kind);
  mapBehaviour(kind);
  mapOptionsBehaviour(kind);
  mapEndBehaviour(kind);
  mapUnorderedBehaviour(kind);
  mapSettledBehaviour(kind);
  mapRepeatBehaviour(kind);
  waitingBehaviour(kind);
  boundBehaviour(kind);
  statsBehaviour(kind);
  exitBehaviour(kind);
  programEndBehaviour(kind);
} else {
  ignoreWithoutServer("ClusterExecutor: the rest of the behaviour of every executor");
}
