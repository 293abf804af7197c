/** What breaks while a cluster works: nothing is lost, and each test prints what that took. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { BrokenCluster, type ClusterExecutor, StalledJobError } from "@concurrent/futures/cluster";
import { bothFail, BOUND, Gate, Ledger, runProgram, sleep, until, within } from "../_helpers.ts";
import { passGate, recordSlowly, square } from "../fixtures/tasks.ts";
import type { Redis } from "ioredis";
import { clusterTest, sharedClusterTest, sharedPoolTest, untilServer, useNodes } from "./_kit.ts";
import { addAtOnce } from "./_load.ts";
import { Proxy } from "./_proxy.ts";

// So long they wait for one that says nothing.
useNodes({ lock: 1_000 });

/** Prints what a fault cost. */
function report(what: string, figures: { jobs: number; lost: number; runs: number; recovery: number }): void {
  const { jobs, lost, runs, recovery } = figures;
  console.log(
    `${what}: ${jobs} jobs, ${lost} lost, ${runs - jobs} run twice, ${
      (recovery / 1_000).toFixed(1)
    } s from the fault to the next result`,
  );
}

/** Waits until so many jobs lie in the queue. */
async function untilWaiting(client: Redis, queue: string, count: number): Promise<void> {
  const waiting = () => client.llen(`bull:${queue}:wait`);
  await untilServer(async () => await waiting() >= count, `${count} jobs that wait`, 20_000);
}

/** Has the only worker of the node that tests share wait at a gate: what is submitted next is for other nodes. */
async function occupy(pool: ClusterExecutor): Promise<AsyncDisposable> {
  const gate = new Gate();
  // After that the node takes one job at a time.
  await within(pool.submit(recordSlowly<number>, new Ledger().path, 0, 100));
  const held = pool.submit(passGate, gate.path);
  await gate.arrived();
  return {
    [Symbol.asyncDispose]: async () => {
      gate.open();
      await within(held);
    },
  };
}

/** Submits tasks, breaks something when some have run, and checks that each has its result. */
async function breakMidway(
  what: string,
  pool: ClusterExecutor,
  fault: () => Promise<void>,
  jobs = 100,
): Promise<void> {
  const ledger = new Ledger();
  const ended: number[] = [];
  const futures = Array.from({ length: jobs }, (_, i) => pool.submit(recordSlowly<number>, ledger.path, i, 5));
  for (const future of futures) future.addDoneCallback(() => ended.push(performance.now()));
  await until(() => ended.length >= jobs / 10, "the first results", 20_000);
  const before = performance.now();
  await fault();
  const after = performance.now();
  assertEquals(await within(Promise.all(futures), "all results", 60_000), futures.map((_, i) => i));
  const lines = ledger.numbers();
  assertEquals([...new Set(lines)], futures.map((_, i) => i), "each task ran");
  const recovery = Math.max(0, (ended.find((time) => time > after) ?? before) - before);
  report(what, { jobs, lost: 0, runs: lines.length, recovery });
}

sharedPoolTest(
  "cluster: one of two nodes is killed while it works, and the other one does the rest",
  1,
  async (cluster) => {
    const node = await cluster.spawnNode(1);
    await breakMidway("A node is killed", cluster.pool, async () => {
      node.kill("SIGKILL");
      await node.ended();
    });
  },
);

sharedPoolTest("cluster: the job of a killed node is run again, and only that one", 1, async ({ pool, spawnNode }) => {
  await using occupied = await occupy(pool);
  const first = await spawnNode(1);
  using gate = new Gate();
  const future = pool.submit(passGate<number>, gate.path, 5);
  await gate.arrived();
  first.kill("SIGKILL");
  await first.ended();
  await occupied[Symbol.asyncDispose]();
  const killed = performance.now();
  await until(() => gate.arrivals() === 2, "the job begins again", 20_000);
  report("The node of a running job is killed", { jobs: 1, lost: 0, runs: 2, recovery: performance.now() - killed });
  assertEquals(future.cancel(), false);
  gate.open();
  assertEquals(await within(future), 5);
  assertEquals(future.attempts, 2);
});

sharedPoolTest(
  "cluster: a job whose nodes die each time fails with StalledJobError",
  1,
  async ({ pool, spawnNode }) => {
    await using occupied = await occupy(pool);
    using gate = new Gate();
    let node = await spawnNode(1);
    const future = pool.submit(passGate<number>, gate.path, 5);
    for (const time of [1, 2]) {
      await until(() => gate.arrivals() === time, "the job begins", 20_000);
      node.kill("SIGKILL");
      await node.ended();
      if (time === 1) node = await spawnNode(1);
    }
    await occupied[Symbol.asyncDispose]();
    await bothFail(future, (error) => assertInstanceOf(error, StalledJobError));
  },
);

sharedPoolTest(
  "cluster: what a lost node has begun is never cancelled, also while it waits again",
  1,
  async ({ pool, spawnNode, server, queue }) => {
    await using occupied = await occupy(pool);
    const first = await spawnNode(1);
    await using client = server.connect();
    using gate = new Gate();
    const future = pool.submit(passGate<number>, gate.path, 5);
    await gate.arrived();
    first.kill("SIGKILL");
    await first.ended();
    await untilWaiting(client, queue, 1);
    assertEquals(future.cancel(), false);
    gate.open();
    await occupied[Symbol.asyncDispose]();
    assertEquals([await within(future), future.attempts, gate.arrivals()], [5, 2, 2]);
  },
);

clusterTest("cluster: jobs that the server has lost are added again", async ({ make, startNode, server, queue }) => {
  await using pool = make();
  await using client = server.connect();
  const futures = Array.from({ length: 20 }, (_, i) => pool.submit(square, i));
  await untilWaiting(client, queue, 20);
  await server.end("SIGKILL");
  await server.start();
  await startNode(1);
  assertEquals(await within(Promise.all(futures), "all results", 20_000), futures.map((_, i) => i * i));
}, { serverOptions: ["--appendonly", "no"] });

sharedPoolTest("cluster: a job that somebody removes fails, and says so", 1, async ({ pool, server, queue }) => {
  await using _ = await occupy(pool);
  await using client = server.connect();
  const future = pool.submit(square, 3);
  await untilWaiting(client, queue, 1);
  const ids = await client.lrange(`bull:${queue}:wait`, 0, -1);
  await client.del(`bull:${queue}:wait`, ...ids.map((id) => `bull:${queue}:${id}`));
  await bothFail(future, (error) => {
    assertInstanceOf(error, BrokenCluster);
    assertStringIncludes((error as Error).message, "the server no longer has it. Likely causes: somebody removed it");
  });
  assert(pool.submit(square, 4).cancel(), "the pool goes on");
});

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  clusterTest(`cluster: the server gets ${signal} and is started again while nodes work`, async (cluster) => {
    await cluster.startNode(2);
    await using pool = cluster.make();
    await breakMidway(`The server gets ${signal} and is started again`, pool, async () => {
      await cluster.server.end(signal);
      await cluster.server.start();
    });
  }, { ownServer: true });
}

clusterTest("cluster: a server that does not come back breaks the pool, and no future hangs", async (cluster) => {
  await cluster.startNode(1);
  await using pool = cluster.make({ unreachableAfter: 1_500 });
  using gate = new Gate();
  const futures = [pool.submit(passGate, gate.path), pool.submit(square, 2)];
  await gate.arrived();
  await cluster.server.end("SIGKILL");
  for (const future of futures) await bothFail(future, (error) => assertInstanceOf(error, BrokenCluster));
  await cluster.server.start();
}, { ownServer: true });

sharedClusterTest(
  "cluster: a network that stalls for a while, and one that is cut, lose nothing",
  1,
  async (cluster) => {
    await using proxy = new Proxy(cluster.server.port);
    await using pool = cluster.make({ redis: `redis://127.0.0.1:${proxy.port}` });
    await breakMidway("The network of the program stalls for 1 s", pool, async () => {
      proxy.stall();
      await sleep(1_000);
      proxy.resume();
    });
    await breakMidway("The connections of the program break", pool, async () => {
      await Promise.resolve(proxy.drop());
    });
  },
);

clusterTest("cluster: a node that is cut off goes on when it is back", async (cluster) => {
  await using proxy = new Proxy(cluster.server.port);
  await using pool = cluster.make();
  // It ends before the proxy does: without a server that takes it some seconds.
  await using _node = await cluster.startNode(2, { redis: `redis://127.0.0.1:${proxy.port}` });
  await breakMidway("The connections of a node break", pool, async () => {
    await Promise.resolve(proxy.drop());
  });
  await breakMidway("The network of a node stalls for 1.5 s, longer than its locks last", pool, async () => {
    proxy.stall();
    await sleep(1_500);
    proxy.resume();
  });
});

clusterTest("cluster: a program that is killed leaves its jobs to the nodes, and others work on", async (cluster) => {
  const ledger = new Ledger();
  await using other = cluster.make();
  const program = runProgram("cluster_producer.ts", [cluster.server.url, cluster.queue, ledger.path], {
    isLocked: true,
  });
  // It has ended by itself, by SIGKILL, when all its jobs were added.
  const { signal } = await within(program, "the program");
  assertEquals(signal, "SIGKILL");
  assertEquals(ledger.lines(), [], "no node is there");
  await cluster.startNode(2);
  assertEquals(await within(other.submit(square, 3), "the other program's job", 20_000), 9);
  await until(() => ledger.lines().length === 50, "the jobs of the dead program", 20_000);
  assertEquals(ledger.numbers(), Array.from({ length: 50 }, (_, i) => i));
  report("The program is killed", { jobs: 50, lost: 0, runs: ledger.lines().length, recovery: 0 });
});

sharedPoolTest("cluster: two programs use one queue, and each gets what is its own", 1, async ({ make, pool: two }) => {
  await using one = make();
  await addAtOnce([one, two], 300);
  using gate = new Gate();
  const held = one.submit(passGate, gate.path);
  await gate.arrived();
  const queued = Array.from({ length: 20 }, (_, i) => two.submit(square, i));
  await one.shutdown({ wait: false, cancelFutures: true });
  assert(queued.every((future) => !future.done()), "the other one's jobs stay");
  gate.open();
  held.result(BOUND);
  assertEquals(await within(Promise.all(queued)), queued.map((_, i) => i * i));
});
