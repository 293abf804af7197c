/** What the server keeps of jobs that have ended: as long as each executor wants, and not what would fill it up. */
import { assert, assertEquals } from "@std/assert";
import { bothFail, within } from "../_helpers.ts";
import { tellJob } from "../fixtures/cluster_tasks.ts";
import { throwValue } from "../fixtures/errors.ts";
import { lengthOf, repeat, square } from "../fixtures/tasks.ts";
import type { Redis } from "ioredis";
import { clusterTest, moduleUrls, untilServer, useNodes } from "./_kit.ts";

useNodes({ modules: { errors: "errors.ts" } });

/** The hashes of jobs that the server has. */
async function jobsOf(client: Redis, queue: string): Promise<string[]> {
  const keys = await client.keys(`bull:${queue}:*-*-*-*-*-*`);
  return keys.filter((key) => !key.endsWith(":lock"));
}

clusterTest(
  "cluster: a server with little memory is not filled up by results that were delivered",
  async ({ make, startNode, server, queue }) => {
    await startNode(2);
    await using pool = make();
    await using client = server.connect();
    const megabyte = 1_048_576;
    for (let i = 0; i < 11; i++) {
      const texts = await within(Promise.all([1, 2].map(() => pool.submit(repeat, "x", megabyte))), `result ${i}`);
      assertEquals(texts.map((text) => text.length), [megabyte, megabyte]);
      // Arguments count as results do.
      assertEquals(await within(pool.submit(lengthOf, "y".repeat(megabyte)), `argument ${i}`), megabyte);
    }
    // Some results are delivered before the server has them: it is told once more.
    await untilServer(async () => (await jobsOf(client, queue)).length === 0, "all are removed");
    assertEquals(await client.zcard(`bull:${queue}:completed`), 0);
    const events = await client.call("MEMORY", "USAGE", `bull:${queue}:events`, "SAMPLES", "0") as number;
    assert(events < 8 * megabyte, `the stream of events has ${events} bytes`);
  },
  { serverOptions: ["--maxmemory", "24mb"] },
);

clusterTest(
  "cluster: keepResults is over for each job by itself, without that another one ends, and whoever is there",
  async ({ make, spawnNode, server, queue }) => {
    const node = await spawnNode(1);
    await using client = server.connect();
    await using brief = make({ keepResults: 1_000 });
    await using patient = make({ keepResults: 600_000, attempts: 2 });
    assertEquals(await within(brief.submit(square, 2)), 4);
    await bothFail(brief.submit(throwValue, new RangeError("brief")), () => {});
    assertEquals(await within(patient.submit(square, 3)), 9);
    await bothFail(patient.submit(throwValue, new RangeError("patient")), () => {});
    await untilServer(async () => (await jobsOf(client, queue)).length === 2, "two are removed");
    const names = async () =>
      await client.zcard(`bull:${queue}:completed`) + await client.zcard(`bull:${queue}:failed`);
    await untilServer(async () => await names() === 2, "the names of two are removed", 12_000);
    const times = await Promise.all((await jobsOf(client, queue)).map((key) => client.pttl(key)));
    assert(times.every((time) => time > 500_000), `${times}`);
    // One that ends later removes nothing of others, and goes without any node.
    assertEquals(await within(brief.submit(square, 4)), 16);
    const isTimed = async (key: string) => Math.abs(await client.pttl(key) - 500) < 500;
    await untilServer(async () => {
      const keys = await jobsOf(client, queue);
      return keys.length === 3 && (await Promise.all(keys.map(isTimed))).filter((is) => is).length === 1;
    }, "the node has said how long the last one is kept");
    node.kill("SIGKILL");
    await node.ended();
    await untilServer(async () => (await jobsOf(client, queue)).length === 2, "the last one is removed");
  },
);

clusterTest("cluster: a node whose clock is ahead removes no results of others", async (cluster) => {
  await cluster.startNode(1, { modules: moduleUrls({ tasks: "tasks.ts", cluster_tasks: "cluster_tasks.ts" }) });
  await using client = cluster.server.connect();
  await using pool = cluster.make({ keepResults: 60_000 });
  assertEquals(await within(pool.submit(square, 2)), 4);
  const [key] = await jobsOf(client, cluster.queue);
  const ahead = `data:text/javascript,const now = Date.now; Date.now = () => now() + 86_400_000`;
  await cluster.launchNode(["--workers", "1", "--module", import.meta.resolve("../fixtures/cluster_tasks.ts")], {
    flags: [`--preload=${ahead}`],
  });
  // The other node has this function, too.
  const nodes = new Set<string>();
  for (let i = 0; i < 200 && nodes.size < 2; i++) nodes.add((await within(pool.submit(tellJob)))!.node);
  assertEquals(nodes.size, 2);
  await untilServer(async () => {
    const [, ended] = await client.zrange(`bull:${cluster.queue}:completed`, "-1", "-1", "WITHSCORES");
    return Number(ended) > Date.now() + 80_000_000;
  }, "what the node did whose clock is ahead");
  assertEquals(await client.exists(key), 1);
});

clusterTest("cluster: what the server keeps of an attempt that failed has its error once", async (cluster) => {
  await cluster.startNode(1);
  await using client = cluster.server.connect();
  await using pool = cluster.make({ attempts: 3 });
  const text = "z".repeat(100);
  await bothFail(pool.submit(throwValue, new RangeError(text)), (error) => assertEquals(error.message, text));
  const [key] = await jobsOf(client, cluster.queue);
  await untilServer(async () => await client.hexists(key, "returnvalue") === 1, "the result of the last attempt");
  const { stacktrace, ...fields } = await client.hgetall(key);
  assertEquals(JSON.parse(stacktrace).length, 2);
  assertEquals(stacktrace.split(text).length - 1, 2, stacktrace);
  assert(stacktrace.includes("RangeError: zzz") && !stacktrace.includes("outcomes"), stacktrace);
  // The argument, the result of the last attempt, and the reason of the one before.
  assertEquals(Object.values(fields).filter((value) => value.includes(text)).length, 3, Object.keys(fields).join());
});
