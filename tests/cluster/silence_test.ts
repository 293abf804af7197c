/** A server that is there and says nothing: a connection that silently leads nowhere, and a server that is stopped. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { BrokenCluster } from "@concurrent/futures/cluster";
import { bothFail, Gate, runProgram, sleep, until, within } from "../_helpers.ts";
import { passGate, square } from "../fixtures/tasks.ts";
import { clusterTest } from "./_kit.ts";
import { Proxy } from "./_proxy.ts";

clusterTest(
  "cluster: connections that silently lead nowhere are made again, by the program and by a node",
  async (cluster) => {
    await using proxy = new Proxy(cluster.server.port);
    const redis = `redis://127.0.0.1:${proxy.port}`;
    const node = await cluster.startNode(1, { lock: 1_000, redis });
    await using pool = cluster.make({ redis, unreachableAfter: 4_000 });
    using gate = new Gate();
    const running = pool.submit(passGate<string>, gate.path, "through");
    await gate.arrived();
    const waiting = [1, 2, 3].map((n) => pool.submit(square, n));
    proxy.deafen();
    gate.open();
    assertEquals(await within(running, "what ran", 20_000), "through");
    assertEquals(await within(Promise.all(waiting), "what waited", 20_000), [1, 4, 9]);
    // An idle node as well: nothing of what it has asked is ever answered.
    proxy.deafen();
    assertEquals(await within(pool.submit(square, 4), "what comes later", 20_000), 16);
    // It ends while it can still say so.
    await node[Symbol.asyncDispose]();
  },
);

clusterTest(
  "cluster: unreachableAfter counts from the last answer of a server that is stopped, and no future hangs",
  async ({ make, server, startNode }) => {
    await startNode(1);
    await using pool = make({ unreachableAfter: 2_000 });
    assertEquals(await within(pool.submit(square, 3)), 9);
    server.signal("SIGSTOP");
    try {
      const stopped = performance.now();
      const future = pool.submit(square, 4);
      await bothFail(future, (error) => {
        assertInstanceOf(error, BrokenCluster);
        assertStringIncludes((error as Error).message, "out of reach");
      });
      const took = performance.now() - stopped;
      assert(took > 1_000 && took < 8_000, `it took ${took} ms`);
    } finally {
      server.signal("SIGCONT");
    }
  },
  { ownServer: true },
);

clusterTest("cluster: a program that was stopped for longer than unreachableAfter goes on", async (cluster) => {
  await cluster.startNode(1);
  const args = [cluster.server.url, cluster.queue];
  const { code, stdout, stderr } = await runProgram("cluster_stopped.ts", args, { isLocked: true });
  assertEquals([code, stdout], [0, "9\n16\n"], stderr);
});

clusterTest("cluster: a server that is stopped for a while and goes on loses nothing", async (cluster) => {
  const node = await cluster.startNode(2, { lock: 1_000 });
  await using pool = cluster.make();
  assertEquals(await within(pool.submit(square, 3)), 9);
  cluster.server.signal("SIGSTOP");
  try {
    const futures = Array.from({ length: 50 }, (_, i) => pool.submit(square, i));
    await until(() => node.stderr.includes("connection"), "the node says that it has lost its connection", 10_000);
    cluster.server.signal("SIGCONT");
    assertEquals(await within(Promise.all(futures), "all", 20_000), futures.map((_, i) => i * i));
  } finally {
    cluster.server.signal("SIGCONT");
  }
}, { ownServer: true });

clusterTest("cluster: idle connections to a server that answers stay", async ({ make, server, startNode }) => {
  const node = await startNode(1, { lock: 1_000 });
  await using pool = make({ unreachableAfter: 2_000 });
  await using client = server.connect();
  assertEquals(await within(pool.submit(square, 3)), 9);
  const connections = async () => /total_connections_received:(\d+)/.exec(await client.info("stats"))?.[1];
  const before = await connections();
  // Longer than any of them may say nothing.
  await sleep(1_500);
  assertEquals(await connections(), before);
  assertEquals([node.stderr, await within(pool.submit(square, 4))], ["", 16]);
}, { ownServer: true });
