/** `ClusterExecutor`: what it does beyond the others, on a real server. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import { TaskNotFoundError } from "@concurrent/futures";
import { BrokenCluster, ClusterExecutor, TaskAbortedError } from "@concurrent/futures/cluster";
import { bothFail, BOUND, Gate, Ledger, thrownBy, within } from "../_helpers.ts";
import { add, passGate, recordSlowly, square } from "../fixtures/tasks.ts";
import { clusterTest } from "./_kit.ts";
import { freePort } from "./_redis.ts";

clusterTest(
  "ClusterExecutor: results, blocking and awaited, and errors with their class",
  async ({ make, startNode }) => {
    await startNode();
    await using pool = make();
    assertEquals(pool.submit(square, 7).result(BOUND), 49);
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
    assertEquals([...pool.map(square, [1, 2, 3])], [1, 4, 9]);
  },
);

clusterTest("ClusterExecutor: of 5,000 jobs that are added at once no result is lost", async ({ make, startNode }) => {
  await startNode();
  await using pool = make();
  const futures = Array.from({ length: 5_000 }, (_, i) => pool.submit(square, i));
  assertEquals(await within(Promise.all(futures), "5,000 jobs", 40_000), futures.map((_, i) => i * i));
});

clusterTest(
  "ClusterExecutor: what no node has begun is cancelled and never runs, the rest is not",
  async ({ make, startNode }) => {
    await startNode(1);
    await using pool = make();
    using gate = new Gate();
    const ledger = new Ledger();
    const held = Array.from({ length: 1 }, () => pool.submit(passGate, gate.path));
    await gate.arrived();
    const futures = Array.from({ length: 20 }, (_, i) => pool.submit(recordSlowly<number>, ledger.path, i, 0));
    const cancelled = futures.filter((future, i) => i % 2 === 0 && future.cancel());
    assertEquals(held[0].cancel(), false);
    gate.open();
    await within(Promise.all(futures.filter((future) => !cancelled.includes(future))));
    assertEquals(ledger.numbers(), futures.flatMap((future, i) => cancelled.includes(future) ? [] : [i]));
    assert(cancelled.length > 0);
  },
);

clusterTest(
  "ClusterExecutor: abort() ends the process of a running task, and cancels a waiting one",
  async ({ make, startNode }) => {
    await startNode(1);
    await using pool = make();
    using gate = new Gate();
    const running = pool.submit(passGate, gate.path);
    await gate.arrived();
    pool.abort(running);
    await bothFail(running, (error) => assertInstanceOf(error, TaskAbortedError));
    assertEquals(pool.submit(square, 3).result(BOUND), 9);
  },
);

clusterTest(
  "ClusterExecutor: a function that no node has fails with what they have, one that nothing exports is refused",
  async ({ make, startNode }) => {
    await startNode();
    await using pool = make({ modules: { elsewhere: import.meta.resolve("../fixtures/tasks.ts") } });
    await bothFail(pool.submit(square, 1), (error) => {
      assertInstanceOf(error, TaskNotFoundError);
      assertMatch((error as Error).message, /has no function square in elsewhere.*tasks \(/);
    });
    await bothFail(pool.submit((n: number) => n + 1, 1), (error) => {
      assertInstanceOf(error, TaskNotFoundError);
      assertStringIncludes((error as Error).message, "no module exports it");
    });
  },
);

clusterTest(
  "ClusterExecutor: a server that is not there breaks the pool with its address, and so does a wrong password",
  async ({ server }) => {
    await using absent = new ClusterExecutor({
      redis: `redis://u:secret@127.0.0.1:${freePort()}`,
      unreachableAfter: 1_500,
    });
    const future = absent.submit(square, 1);
    await bothFail(future, (error) => {
      assertInstanceOf(error, BrokenCluster);
      assertMatch((error as Error).message, /redis:\/\/u:\*\*\*@127\.0\.0\.1:\d+.* out of reach.*ECONNREFUSED/);
    });
    assertInstanceOf(thrownBy(() => absent.submit(square, 1)), BrokenCluster);
    await using refused = new ClusterExecutor({ redis: server.url.replace("//", "//nobody:wrong@") });
    await bothFail(refused.submit(square, 1), (error) => {
      assertInstanceOf(error, BrokenCluster);
      assertMatch((error as Error).message, /WRONGPASS/);
    });
  },
);
