/** Scenarios: very many jobs on a cluster of this machine. Without `redis-server` there are none. */
import { ClusterExecutor } from "@concurrent/futures/cluster";
import { passMixedValues } from "../behaviour/values.ts";
import { Node } from "../cluster/_kit.ts";
import { addAtOnce } from "../cluster/_load.ts";
import { hasServer, RedisServer } from "../cluster/_redis.ts";
import type { Counted, Scenario } from "./_scenario.ts";

/** The scenarios of the cluster; `tests/cluster/` has a share of each that is `size`. */
export const CLUSTER: Scenario[] = !hasServer ? [] : [
  {
    name: "ClusterExecutor: jobs that are added at once, by one program",
    size: 1_500,
    fullSize: 50_000,
    run: (size) => withCluster(1, size, (pools) => addAtOnce(pools, size)),
  },
  {
    name: "ClusterExecutor: jobs that are added at once, by two executors of one queue",
    size: 300,
    fullSize: 10_000,
    run: (size) => withCluster(2, size, (pools) => addAtOnce(pools, size)),
  },
  {
    name: "ClusterExecutor: many values of mixed sizes, all under way at once",
    size: 400,
    fullSize: 2_000,
    run: (size) => withCluster(1, size, ([pool]) => passMixedValues(pool, size)),
  },
];

async function withCluster(
  executors: number,
  tasks: number,
  run: (pools: readonly ClusterExecutor[]) => Promise<void>,
): Promise<Counted> {
  await using server = await RedisServer.start();
  await using _node = await Node.start(server, "soak", 2);
  const pools = Array.from({ length: executors }, () => new ClusterExecutor({ redis: server.url, queue: "soak" }));
  await run(pools);
  await Promise.all(pools.map((pool) => pool.shutdown()));
  return { tasks };
}
