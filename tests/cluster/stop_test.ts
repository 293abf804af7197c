/** Tasks that are stopped on a node, whatever is lost or cut off meanwhile. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals } from "@std/assert";
import { TimeoutError } from "@concurrent/futures";
import type { Redis } from "ioredis";
import { bestOf, bothFail, Gate, Ledger, rejectionOf, sleep, thrownBy, until, within } from "../_helpers.ts";
import type { JobData } from "../../executors/cluster/_jobs.ts";
import { failLater, failOnce, tellJob, tickForever } from "../fixtures/cluster_tasks.ts";
import {
  aborted,
  computeUnless,
  describeTask,
  loopForever,
  loopUntil,
  loopUntilAborted,
  returnWhenAborted,
} from "../fixtures/control_tasks.ts";
import { passGate, passGateLater, square } from "../fixtures/tasks.ts";
import { clusterTest, moduleUrls, sharedClusterTest, sharedPoolTest, untilServer, useNodes } from "./_kit.ts";
import { Proxy } from "./_proxy.ts";

useNodes({ modules: { control_tasks: "control_tasks.ts", cluster_tasks: "cluster_tasks.ts" } });

/** Waits until a ledger has a line. */
async function begunIn(ledger: Ledger): Promise<void> {
  await until(() => ledger.lines().length > 0, "a task that has begun");
}

/** Which processes write into a ledger within some time from now on. */
async function writersOf(ledger: Ledger, ms = 60): Promise<string[]> {
  const { length } = ledger.lines();
  await sleep(ms);
  return [...new Set(ledger.lines().slice(length))];
}

sharedClusterTest(
  "cluster: a task that is stopped takes its process with it, and no other task",
  2,
  async ({ make }) => {
    await using pool = make({ attempts: 3 });
    using trace = pool.trace();
    const stops = [
      { view: pool.with({ timeout: 100, grace: 0, name: "timed" }), stop: () => {}, error: "TimeoutError" },
      {
        view: pool.with({ grace: 0, name: "aborted" }),
        stop: (future: { abort(): boolean }) => future.abort(),
        error: "AbortError",
      },
    ];
    for (const { view, stop, error } of stops) {
      const ledger = new Ledger();
      using gate = new Gate();
      const neighbour = pool.submit(passGateLater<number>, gate.path, 5);
      await gate.arrived();
      const future = view.submit(tickForever, ledger.path);
      await begunIn(ledger);
      const behind = Array.from({ length: 20 }, (_, i) => pool.submit(square, i));
      stop(future);
      assertEquals((await rejectionOf(future)).name, error);
      assertEquals(await within(Promise.all(behind)), behind.map((_, i) => i * i));
      assertEquals([future.attempts, await writersOf(ledger)], [1, []], "it is killed, and not tried again");
      assertEquals(new Set(ledger.lines()).size, 1, "one process has run it");
      gate.open();
      assertEquals(await within(neighbour), 5);
    }
    const bars = trace.toJSON().traceEvents.filter(({ name }) => name === "timed" || name === "aborted");
    assertEquals(bars.map(({ name, args }) => [name, (args as { outcome: string }).outcome]), [
      ["timed", "stopped"],
      ["aborted", "stopped"],
    ]);
    assert(bars.every(({ dur }) => dur! > 0), "a node has told when it ran");
    const { done, failed, cancelled } = pool.stats();
    assertEquals([done, failed, cancelled], [42, 2, 0]);
  },
);

sharedPoolTest(
  "cluster: the error of a task that ran for too long names task, node and time",
  2,
  async ({ pool }) => {
    const node = (await within(pool.submit(tellJob)))!.node;
    for (const [view, task] of [[pool, "loopForever"], [pool.with({ name: "mine" }), "mine"]] as const) {
      await bothFail(view.with({ timeout: 50, grace: 0 }).submit(loopForever), (error) => {
        assertInstanceOf(error, TimeoutError);
        assertEquals(
          error.message,
          `Task ${task} was stopped on ${node}, because it ran for longer than its timeout: 50 ms`,
        );
      });
    }
    assertEquals(await within(pool.with({ name: "mine" }).submit(describeTask)), ["mine", node, 1, false]);
  },
);

sharedClusterTest(
  "cluster: a task that waits to be tried again is aborted, and never begins again",
  2,
  async (cluster) => {
    await using pool = cluster.make({ attempts: 3, backoff: 1_500 });
    await using client = cluster.server.connect();
    const ledger = new Ledger();
    const future = pool.submit(failOnce, ledger.path);
    await begunIn(ledger);
    const delayed = () => client.zcard(`bull:${cluster.queue}:delayed`);
    await untilServer(async () => await delayed() > 0, "it waits", 5_000);
    const reason = new Error("enough");
    const start = performance.now();
    assert(future.abort(reason));
    await bothFail(future, (error) => assertStrictEquals(error, reason));
    assert(performance.now() - start < 1_000, "its job is taken out of the queue");
    assertEquals(await delayed(), 0);
    await sleep(1_700);
    assertEquals(ledger.lines(), ["begun"]);
  },
);

/** Lets nobody tell anybody anything: nodes say only of tasks of more than 5 ms that they have begun. */
async function muted(client: Redis, fn: () => Promise<void>): Promise<void> {
  await client.call("ACL", "SETUSER", "default", "-publish");
  try {
    await fn();
  } finally {
    await client.call("ACL", "SETUSER", "default", "+publish");
  }
}

sharedClusterTest(
  "cluster: a task that waits to be tried again has begun, although no node has said so",
  2,
  async (cluster) => {
    await using pool = cluster.make({ attempts: 3, backoff: 600_000 });
    await using client = cluster.server.connect();
    const ledger = new Ledger();
    const delayed = () => client.zcard(`bull:${cluster.queue}:delayed`);
    await muted(client, async () => {
      const futures = [1, 2].map(() => pool.submit(failOnce, ledger.path));
      await untilServer(async () => await delayed() === 2, "they wait", 5_000);
      const start = performance.now();
      assert(!futures[0].cancel());
      assert(futures[0].running());
      for (const future of futures) assert(future.abort());
      assert(performance.now() - start < 1_000, "nobody waits for what nodes say");
      for (const future of futures) await bothFail(future, (error) => assertEquals(error.name, "AbortError"));
      assertEquals([await delayed(), ledger.lines()], [0, ["begun", "begun"]]);
    });
  },
);

sharedClusterTest(
  "cluster: a task that goes back to the queue when the broker has looked there has begun",
  2,
  async (cluster) => {
    await using pool = cluster.make({ attempts: 3, backoff: 600_000 });
    await using client = cluster.server.connect();
    await muted(client, async () => {
      await bestOf(3, async () => {
        const ledger = new Ledger();
        const future = pool.submit(failLater, ledger.path, 200);
        await begunIn(ledger);
        const start = performance.now();
        assert(!future.cancel());
        const took = performance.now() - start;
        assert(future.abort());
        await bothFail(future, (error) => assertEquals(error.name, "AbortError"));
        assert(took < 1_500, `the broker looks there again: ${took} ms`);
      });
    });
  },
);

sharedPoolTest("cluster: a task is aborted although what its executor says is lost", 2, async ({ pool, server }) => {
  await using client = server.connect();
  for (let i = 0; i < 3; i++) {
    const ledger = new Ledger();
    const future = pool.with({ grace: 20_000 }).submit(loopUntilAborted, ledger.path);
    await begunIn(ledger);
    await until(() => future.running(), "its begin");
    // Nobody listens until the connections are made again.
    await client.call("CLIENT", "KILL", "TYPE", "pubsub");
    assert(future.abort());
    assertEquals((await rejectionOf(future)).name, "AbortError");
    assertEquals(ledger.lines(), ["begun", "AbortError"]);
  }
});

sharedPoolTest("cluster: of the tasks that share a job one is aborted, and the others run", 2, async (cluster) => {
  const { pool } = cluster;
  await using client = cluster.server.connect();
  for (let i = 0; i < 30; i++) await within(pool.submit(computeUnless, 0.01));
  const completed = () => client.zcard(`bull:${cluster.queue}:completed`);
  const before = await completed();
  using gate = new Gate();
  const held = [1, 2].map(() => pool.submit(passGate, gate.path));
  await gate.arrived(2);
  const view = pool.with({ grace: 20_000 });
  const futures = Array.from({ length: 320 }, (_, i) => view.submit(computeUnless, i === 200 ? 0 : 0.01));
  gate.open();
  await within(Promise.all(held));
  await until(() => futures[200].running(), "the one that loops");
  const reason = new Error("enough");
  assert(futures[200].abort(reason));
  const outcomes = await within(Promise.allSettled(futures));
  for (const [i, outcome] of outcomes.entries()) {
    if (i === 200) assertStrictEquals((outcome as PromiseRejectedResult).reason, reason);
    else assertEquals(outcome, { status: "fulfilled", value: 0.01 });
  }
  assert(await completed() - before < 160, "they shared jobs");
});

sharedPoolTest("cluster: a task with a timeout shares no job, so no other one waits for it", 2, async (cluster) => {
  const { pool, queue, server } = cluster;
  await using client = server.connect();
  for (let i = 0; i < 30; i++) await within(pool.submit(computeUnless, 0.01));
  using gate = new Gate();
  const held = [1, 2].map(() => pool.submit(passGate, gate.path));
  await gate.arrived(2);
  const view = pool.with({ timeout: 25_000, grace: 0 });
  // The executor adds all of them but the first ones at once, when the server takes something again.
  await client.call("CLIENT", "PAUSE", "20000", "WRITE");
  const futures = Array.from({ length: 320 }, (_, i) => {
    return (i % 10 === 0 ? view : pool).submit(computeUnless, i === 200 ? 0 : 0.01);
  });
  await client.call("CLIENT", "UNPAUSE");
  const readJobs = async () => {
    const lists = await Promise.all(["wait", "active"].map((list) => client.lrange(`bull:${queue}:${list}`, 0, -1)));
    const texts = await Promise.all(lists.flat().map((id) => client.hget(`bull:${queue}:${id}`, "data")));
    return texts.map((text) => (JSON.parse(text!) as JobData).tasks);
  };
  let jobs: JobData["tasks"][] = [];
  await untilServer(async () => {
    jobs = await readJobs();
    return jobs.flat().length === held.length + futures.length;
  }, "all of them");
  const shared = jobs.filter(({ length }) => length > 1);
  assert(shared.length > 0, "those without a timeout share jobs");
  assertEquals(shared.flat().filter(({ timeout }) => timeout !== undefined), []);
  gate.open();
  await within(Promise.all(held));
  // The other worker runs them.
  await within(Promise.all(futures.filter((_, i) => i !== 200)), "the others", 20_000);
  assertEquals(futures[200].done(), false);
  assert(futures[200].abort());
});

sharedPoolTest("cluster: of a chunk that is stopped no other item begins", 2, async ({ pool }) => {
  const ledger = new Ledger();
  const controller = new AbortController();
  const view = pool.with({ signal: controller.signal, grace: 20_000 });
  const results = view.map(returnWhenAborted, Array(5).fill(ledger.path), { chunksize: 5 });
  await begunIn(ledger);
  controller.abort("enough");
  assertEquals(thrownBy(() => results.next()), "enough");
  assertEquals(await within(pool.submit(square, 3)), 9);
  assertEquals(ledger.lines(), ["begun"]);
});

sharedClusterTest("cluster: a node keeps a timeout while the program is cut off", 2, async ({ make, server }) => {
  await using proxy = new Proxy(server.port);
  await using pool = make({ redis: `redis://127.0.0.1:${proxy.port}` });
  const ledger = new Ledger();
  const future = pool.with({ timeout: 400, grace: 0 }).submit(tickForever, ledger.path);
  await begunIn(ledger);
  proxy.stall();
  for (const end = performance.now() + 5_000; (await writersOf(ledger)).length > 0;) {
    assert(performance.now() < end, "the process ends");
  }
  assertEquals(future.done(), false, "nobody has said so here");
  proxy.resume();
  assertInstanceOf(await rejectionOf(future), TimeoutError);
});

clusterTest("cluster: a task is aborted whose node is lost, and does not go on elsewhere", async (cluster) => {
  const first = await cluster.spawnNode(1, "--lock", "1000");
  await using pool = cluster.make();
  const ledger = new Ledger();
  const future = pool.with({ grace: 0 }).submit(tickForever, ledger.path);
  await begunIn(ledger);
  await until(() => future.running(), "its begin");
  first.kill("SIGKILL");
  await first.ended();
  const reason = new Error("enough");
  assert(future.abort(reason));
  await cluster.startNode(1, {
    lock: 1_000,
    modules: moduleUrls({ tasks: "tasks.ts", cluster_tasks: "cluster_tasks.ts" }),
  });
  await bothFail(future, (error) => assertStrictEquals(error, reason));
  assertEquals(await within(pool.submit(square, 3)), 9, "the worker is free");
  assertEquals(await writersOf(ledger, 200), []);
});

clusterTest("cluster: a signal among the arguments that is aborted before a node has the task", async (cluster) => {
  await using pool = cluster.make();
  await using client = cluster.server.connect();
  const controllers = [1, 2, 3, 4].map(() => new AbortController());
  const futures = controllers.map(({ signal }) => pool.submit(aborted, signal));
  const waiting = () => client.llen(`bull:${cluster.queue}:wait`);
  await untilServer(async () => await waiting() === 4, "they wait", 5_000);
  controllers[0].abort("the reason");
  controllers[2].abort(new RangeError("x".repeat(5_000)));
  const notes = () => client.keys(`bull:${cluster.queue}:signal:*`);
  await untilServer(async () => (await notes()).length === 2, "the notes", 5_000);
  // One that somebody else has written.
  const [note] = await notes();
  await client.set(note.replace(/\d+$/, "4"), "x".repeat(5_000), "PX", 60_000);
  await cluster.startNode(1, { modules: moduleUrls({ control_tasks: "control_tasks.ts" }) });
  const told = await within(Promise.all(futures), "all", 20_000);
  assertEquals(told.slice(0, 2), [[true, true, "the reason"], [true, false, undefined]]);
  for (const [, isAborted, reason] of told.slice(2)) {
    assertEquals([isAborted, (reason as Error).name], [true, "AbortError"], "the reason is too large");
  }
  for (const key of await notes()) assertMatch(String(await client.pttl(key)), /^[1-9]\d*$/, "the server forgets it");
});

sharedPoolTest(
  "cluster: a signal among the arguments is aborted although that is lost",
  2,
  async ({ pool, server }) => {
    await using client = server.connect();
    const ledger = new Ledger();
    const controller = new AbortController();
    const future = pool.submit(loopUntil, { signal: controller.signal }, ledger.path);
    await begunIn(ledger);
    await client.call("CLIENT", "KILL", "TYPE", "pubsub");
    controller.abort("the reason");
    assertEquals(await within(future), "the reason");
  },
);
