/**
 * {@linkcode ClusterExecutor}: the behaviour of every executor. Left out is what it does not have, initializers and functions without an export, and what takes
 * too long on a network: bursts of 100,000. What only clusters have is beside this file.
 */
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
import { programEndBehaviour } from "../behaviour/programs.ts";
import { kind, queues, SERVER } from "../fixtures/kinds/cluster.ts";
import { share } from "../_helpers.ts";
import { ignoreWithoutServer, Node, nodeModules } from "./_kit.ts";
import { hasServer, RedisServer } from "./_redis.ts";

// All tests share a server and its nodes, which take a while to start.
if (hasServer) {
  const server = await RedisServer.start();
  share(server.pid);
  Deno.env.set(SERVER, server.url);
  const programs = nodeModules({ no_shutdown: "programs/no_shutdown.ts" });
  const nodes = await Promise.all(
    queues.map(({ workers, queue }) => Node.start(server, queue, workers, ...programs)),
  );
  for (const node of nodes) share(node.pid);
  addEventListener("unload", () => {
    for (const node of nodes) node.kill("SIGKILL");
    server.kill();
  });

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
  programEndBehaviour(kind);
} else {
  ignoreWithoutServer("ClusterExecutor: the behaviour of every executor");
}
