/** Quick tasks that share a job, one of which is slow for once: no other one waits for it. */
import { assertEquals } from "@std/assert";
import type { Future } from "@concurrent/futures";
import type { ClusterExecutor } from "@concurrent/futures/cluster";
import { BOUND, Gate, sleep, within } from "../_helpers.ts";
import { noteOutcomes } from "../../executors/cluster/_connection.ts";
import type { JobData, Outcome } from "../../executors/cluster/_jobs.ts";
import { pauseOrPassGate } from "../fixtures/tasks.ts";
import { clusterTest, sharedClusterTest, sharedPoolTest } from "./_kit.ts";

const SLOW = 100;
const WARM = 30;
const none = undefined as string | undefined;

/** So many tasks, the slow one in the middle, which waits at the gate. */
function submitAll(pool: ClusterExecutor, gate: Gate): Future<number>[] {
  return Array.from({ length: 2 * SLOW }, (_, i) => {
    return pool.submit(pauseOrPassGate<number>, i, i === SLOW ? gate.path : none, 0);
  });
}

/** Lets node and executor know that the function is quick. */
function warm(pool: ClusterExecutor): void {
  for (let i = 0; i < WARM; i++) pool.submit(pauseOrPassGate<number>, 0, none, 0).result(BOUND);
}

sharedPoolTest("cluster: the result of a quick task waits for no other task of its job", 1, async ({ pool }) => {
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

sharedPoolTest(
  "cluster: a task that waits behind a slow one of its job goes to a node that is idle",
  1,
  async (cluster) => {
    const { pool } = cluster;
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
  },
);

clusterTest(
  "cluster: the tasks behind a slow one stay with it where a lost node may have begun them",
  async (cluster) => {
    const { server, queue } = cluster;
    const lost = await cluster.spawnNode(1, "--lock", "2000");
    await using pool = cluster.make();
    await using client = server.connect();
    warm(pool);
    using gate = new Gate();
    const futures = submitAll(pool, gate);
    await gate.arrived();
    const ids = await client.lrange(`bull:${queue}:active`, 0, -1);
    const jobs = await Promise.all(ids.map(async (id) => {
      const data = await client.hget(`bull:${queue}:${id}`, "data");
      // One that has ended in the meantime is gone.
      const tasks = data === null ? [] : (JSON.parse(data) as JobData).tasks;
      return tasks.map(({ id }) => futures[Number(id.slice(id.lastIndexOf("-") + 1)) - 1 - WARM]);
    }));
    const job = jobs.find((tasks) => tasks.includes(futures[SLOW]))!;
    const behind = job.slice(job.indexOf(futures[SLOW]));
    lost.kill("SIGKILL");
    await Promise.all([1, 2].map(() => cluster.startNode(1, { lock: 2_000 })));
    await gate.arrived(2);
    await within(Promise.all(futures.filter((future) => !behind.includes(future))), "the others");
    // They would have gone to the other node by then.
    await sleep(500);
    for (const future of behind) assertEquals([future.done(), future.cancel()], [false, false]);
    gate.open();
    assertEquals(await within(Promise.all(futures)), [...futures.keys()]);
  },
);

sharedClusterTest(
  "cluster: an outcome is noted in the hash of its job, and in none that is gone",
  1,
  async (cluster) => {
    await using client = cluster.server.connect();
    const key = `bull:${cluster.queue}:${crypto.randomUUID()}-1`;
    await noteOutcomes(client, key, new Map([[0, { recalled: true }]]));
    assertEquals(await client.exists(key), 0);
    await client.hset(key, "timestamp", "1");
    const outcomes = new Map<number, Outcome>([[0, { recalled: true }], [3, { unknown: "none" }]]);
    await noteOutcomes(client, key, outcomes);
    assertEquals(await client.hgetall(key), {
      timestamp: "1",
      "outcome:0": '{"recalled":true}',
      "outcome:3": '{"unknown":"none"}',
    });
    await client.del(key);
  },
);
