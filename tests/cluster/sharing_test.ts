/** Quick tasks that share a job, one of which is slow for once: no other one waits for it. */
import { assertEquals } from "@std/assert";
import type { Future } from "@concurrent/futures";
import type { ClusterExecutor } from "@concurrent/futures/cluster";
import { BOUND, Gate, within } from "../_helpers.ts";
import { Link } from "../../executors/cluster/_link.ts";
import { pauseOrPassGate } from "../fixtures/tasks.ts";
import { clusterTest, sharedClusterTest } from "./_kit.ts";

const SLOW = 300;
const none = undefined as string | undefined;

/** So many tasks, the slow one in the middle, which waits at the gate. */
function submitAll(pool: ClusterExecutor, gate: Gate): Future<number>[] {
  return Array.from({ length: 600 }, (_, i) => {
    return pool.submit(pauseOrPassGate<number>, i, i === SLOW ? gate.path : none, 0);
  });
}

/** Lets node and executor know that the function is quick. */
function warm(pool: ClusterExecutor): void {
  for (let i = 0; i < 30; i++) pool.submit(pauseOrPassGate<number>, 0, none, 0).result(BOUND);
}

sharedClusterTest("cluster: the result of a quick task waits for no other task of its job", 1, async ({ make }) => {
  await using pool = make();
  warm(pool);
  using gate = new Gate();
  const futures = submitAll(pool, gate);
  await gate.arrived();
  const before = futures.slice(0, SLOW);
  // Without a message of the node's, the executor finds them on the server after five seconds or more.
  assertEquals(await within(Promise.all(before), "those before it", 4_000), [...before.keys()]);
  assertEquals(futures.slice(SLOW).filter((future) => future.done()), []);
  gate.open();
  assertEquals(await within(Promise.all(futures)), [...futures.keys()]);
});

clusterTest("cluster: a task that waits behind a slow one of its job goes to a node that is idle", async (cluster) => {
  await cluster.startNode(1);
  await using pool = cluster.make();
  warm(pool);
  using gate = new Gate();
  const futures = submitAll(pool, gate);
  await gate.arrived();
  await cluster.startNode(1);
  const others = futures.filter((_, i) => i !== SLOW);
  assertEquals(await within(Promise.all(others), "the others"), [...futures.keys()].filter((i) => i !== SLOW));
  assertEquals(futures[SLOW].done(), false);
  gate.open();
  assertEquals(await within(futures[SLOW]), SLOW);
});

sharedClusterTest(
  "cluster: an outcome is noted in the hash of its job, and in none that is gone",
  1,
  async (cluster) => {
    const { server, queue } = cluster;
    await using client = server.connect();
    const link = new Link({ redis: server.url, queue, prefix: "bull" }, "node", 30_000);
    const job = { id: `${crypto.randomUUID()}-1` };
    const key = `bull:${queue}:${job.id}`;
    await link.sendOutcomes(job, [[0, { recalled: true }]]);
    assertEquals(await client.exists(key), 0);
    await client.hset(key, "timestamp", "1");
    await link.sendOutcomes(job, [[0, { recalled: true }], [3, { unknown: "none" }]]);
    assertEquals(await client.hgetall(key), {
      timestamp: "1",
      "outcome:0": '{"recalled":true}',
      "outcome:3": '{"unknown":"none"}',
    });
    await client.del(key);
    link.close();
  },
);
