/** A server and its nodes for the behaviour suite, whose tests share them: they take a while to start. */
import { queueFor, SERVER } from "../fixtures/kinds/cluster.ts";
import { share } from "../_helpers.ts";
import { Node, nodeModules } from "./_kit.ts";
import { RedisServer } from "./_redis.ts";

/**
 * Starts them; they end with the program.
 *
 * @param workers How many workers the pools of the tests have; there are no nodes for others.
 */
export async function startForAll(...workers: number[]): Promise<void> {
  const server = await RedisServer.start();
  share(server.pid);
  Deno.env.set(SERVER, server.url);
  const more = nodeModules({
    no_shutdown: "programs/no_shutdown.ts",
    map_tasks: "map_tasks.ts",
    slow_record: "slow_record.ts",
  });
  const nodes = await Promise.all(workers.map((count) => Node.start(server, queueFor(count), count, ...more)));
  for (const node of nodes) share(node.pid);
  addEventListener("unload", () => {
    for (const node of nodes) node.kill("SIGKILL");
    server.kill();
  });
}
