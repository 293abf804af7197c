/** {@linkcode ClusterExecutor}: the behaviour of every executor. What only clusters have: `cluster_test.ts`. */
import { cancelBehaviour } from "../behaviour/cancel.ts";
import { errorBehaviour } from "../behaviour/errors.ts";
import { mapBehaviour } from "../behaviour/map.ts";
import { mapEndBehaviour } from "../behaviour/map_end.ts";
import { mapOptionsBehaviour } from "../behaviour/map_options.ts";
import { refusedBehaviour } from "../behaviour/refused.ts";
import { shutdownBehaviour } from "../behaviour/shutdown.ts";
import { submitBehaviour } from "../behaviour/submit.ts";
import { valueBehaviour } from "../behaviour/values.ts";
import { waitingBehaviour } from "../behaviour/waiting.ts";
import { exitBehaviour } from "../behaviour/exits.ts";
import { BrokenCluster, ClusterExecutor } from "@concurrent/futures/cluster";
import type { Kind } from "../behaviour/kind.ts";
import { share } from "../_helpers.ts";
import { Node } from "./_kit.ts";
import { RedisServer } from "./_redis.ts";

const server = await RedisServer.start();
share(server.pid);
/** Queues by how many workers serve them; two of each, since two pools do not share workers. */
const queues = [1, 1, 2, 2, 3, 4].map((workers, i) => ({ workers, queue: `w${workers}-${i}` }));
const nodes = await Promise.all(queues.map(({ workers, queue }) => Node.start(server, queue, workers)));
for (const node of nodes) share(node.pid);
addEventListener("unload", () => {
  for (const node of nodes) node.kill("SIGKILL");
  server.kill();
});

/** The queue whose turn it is. */
function queueFor(wanted: number): string {
  const i = queues.findIndex(({ workers }) => workers === wanted);
  const [found] = queues.splice(i, 1);
  queues.push(found);
  return found.queue;
}

const kind: Kind = {
  name: "ClusterExecutor",
  make: ({ maxWorkers = 2 } = {}) => new ClusterExecutor({ redis: server.url, queue: queueFor(maxWorkers) }),
  broken: BrokenCluster,
  module: import.meta.url,
  isRemote: true,
  rounds: 20,
};

submitBehaviour(kind);
cancelBehaviour(kind);
waitingBehaviour(kind);
valueBehaviour(kind);
refusedBehaviour(kind);
errorBehaviour(kind);
mapBehaviour(kind);
mapEndBehaviour(kind);
mapOptionsBehaviour(kind);
exitBehaviour(kind);
shutdownBehaviour(kind);
