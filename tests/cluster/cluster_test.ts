/** `ClusterExecutor`: what it does beyond the others, on a real server. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { TaskNotFoundError, ThreadPoolExecutor } from "@concurrent/futures";
import { BrokenCluster, ClusterExecutor } from "@concurrent/futures/cluster";
import { bothFail, BOUND, Gate, Ledger, test, thrownBy, within } from "../_helpers.ts";
import * as clusterTasks from "../fixtures/cluster_tasks.ts";
import { add, passGate, recordSlowly, square } from "../fixtures/tasks.ts";
import { addAtOnce } from "./_load.ts";
import { sharedClusterTest, sharedPoolTest, useNodes } from "./_kit.ts";
import { freePort } from "./_redis.ts";

useNodes({ modules: { cluster_tasks: "cluster_tasks.ts" } });

sharedPoolTest(
  "ClusterExecutor: results, blocking and awaited, and errors with their class",
  2,
  async ({ pool }) => {
    assertEquals(pool.submit(square, 7).result(BOUND), 49);
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
    assertEquals([...pool.map(square, [1, 2, 3])], [1, 4, 9]);
  },
);

sharedPoolTest("ClusterExecutor: of 1,500 jobs that are added at once no result is lost", 2, async ({ pool }) => {
  await addAtOnce([pool], 1_500);
});

sharedPoolTest(
  "ClusterExecutor: what no node has begun is cancelled and never runs, the rest is not",
  2,
  async ({ pool }) => {
    using gate = new Gate();
    const ledger = new Ledger();
    const held = [1, 2].map(() => pool.submit(passGate, gate.path));
    await gate.arrived(2);
    const futures = Array.from({ length: 20 }, (_, i) => pool.submit(recordSlowly<number>, ledger.path, i, 0));
    const cancelled = futures.filter((future, i) => i % 2 === 0 && future.cancel());
    assertEquals(held[0].cancel(), false);
    gate.open();
    await within(Promise.all(futures.filter((future) => !cancelled.includes(future))));
    assertEquals(ledger.numbers(), futures.flatMap((future, i) => cancelled.includes(future) ? [] : [i]));
    assert(cancelled.length > 0);
  },
);

sharedClusterTest(
  "ClusterExecutor: a function that no node has fails with what they have, one that nothing exports is refused",
  2,
  async ({ make }) => {
    await using pool = make({ modules: { elsewhere: import.meta.resolve("../fixtures/tasks.ts") } });
    await bothFail(pool.submit(square, 1), (error) => {
      assertInstanceOf(error, TaskNotFoundError);
      assertMatch(
        (error as Error).message,
        /has no function square in elsewhere, and no other node has it\. To fix it, .*: tasks \(/,
      );
    });
    await bothFail(pool.submit((n: number) => n + 1, 1), (error) => {
      assertInstanceOf(error, TaskNotFoundError);
      assertStringIncludes(
        (error as Error).message,
        "to other machines, because no module exports it. To fix it, export it from a module",
      );
    });
  },
);

sharedPoolTest(
  "ClusterExecutor: an export of a namespace is found, though threads take its text",
  2,
  ({ pool }) => {
    using threads = new ThreadPoolExecutor(1);
    assertEquals(threads.submit(clusterTasks.triple, 1).result(BOUND), 3);
    assertEquals(pool.submit(clusterTasks.triple, 2).result(BOUND), 6);
  },
);

sharedClusterTest(
  "ClusterExecutor: a server that is not there breaks the pool with its address, and so does a wrong password",
  2,
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
      assertMatch(
        (error as Error).message,
        /^Cannot reach the cluster: redis:\/\/nobody:\*\*\*@127\.0\.0\.1:\d+.* refuses the connection: WRONGPASS/,
      );
    });
  },
);

test("new ClusterExecutor() names an address that it cannot use without its password", () => {
  for (
    const [redis, text] of [
      ["http://user:hunter2@h:1", '"http://user:***@h:1"'],
      ["valkey://:hunter2@h:1/0", '"valkey://:***@h:1/0"'],
      ["redis://user:hunter2/x@h", '"redis://user:***@h"'],
      ["redis://user:hun@ter2@h:port", '"redis://user:***@h:port"'],
      ["redis://user:hunter 2@h:port", '"redis://user:***@h:port"'],
      ["user:hunter2@h:1", '"user:***@h:1"'],
      ["hunter2@h:1", '"***@h:1"'],
      ["valkeys://h:1?password=hunter2", '"valkeys://h:1?***"'],
      [new URL("unix://user:hunter2@h/path"), '"unix://user:***@h/path"'],
    ] as const
  ) {
    const { message } = thrownBy(() => new ClusterExecutor({ redis }));
    assertStringIncludes(message, `must be a URL as redis://host:port or rediss://host:port: ${text}`);
    assert(!/hun|ter2/.test(message), message);
  }
});

test("new ClusterExecutor() refuses wrong options, and names them", () => {
  const Loose = ClusterExecutor as unknown as new (options: unknown) => ClusterExecutor;
  for (
    const [options, type, text] of [
      // The text of an address may have a password.
      ["redis://user:hunter2@h", TypeError, '{ redis: "redis://host:6379" }: a value of type string'],
      [{ redis: "localhost:6379" }, TypeError, "The option redis must be a URL as redis://host:port"],
      [{ redis: "http://localhost" }, TypeError, "The option redis must be a URL as redis://host:port"],
      [{ redis: { password: "hunter2" } }, TypeError, "rediss://host:port: a value of type Object"],
      [{ queue: "" }, TypeError, "The option queue must be a string that is not empty"],
      [{ queue: "a:b" }, TypeError, 'must be a string that is not empty and has no colon: "a:b"'],
      [{ prefix: 5 }, TypeError, "The option prefix must be a string that is not empty"],
      [{ attempts: 0 }, RangeError, "The option attempts must be an integer of at least 1: 0"],
      [{ attempts: "2" }, TypeError, 'The option attempts must be a number: "2"'],
      [{ priority: 0 }, RangeError, "The option priority must be an integer from 1 to 2097151: 0"],
      [{ keepResults: 5 }, RangeError, "The option keepResults must be an integer of at least 1000: 5"],
      [{ unreachableAfter: NaN }, RangeError, "The option unreachableAfter must be an integer of at least 1: NaN"],
      [{ backoff: -1 }, RangeError, "The option backoff must be an integer of at least 0: -1"],
      [{ backoff: null }, TypeError, "The option backoff must be a number: null"],
      [
        { backoff: { type: "odd", delay: 5 } },
        RangeError,
        'The option backoff.type must be "fixed" or "exponential": "odd"',
      ],
      [{ backoff: { type: "fixed" } }, TypeError, "The option backoff.delay must be a number: undefined"],
      [
        { backoff: { type: "fixed", delay: 5, jitter: 2 } },
        RangeError,
        "The option backoff.jitter must be a number from 0 to 1: 2",
      ],
    ] as const
  ) {
    assertThrows(() => new Loose(options), type, text, Deno.inspect(options));
  }
  new Loose({ backoff: { type: "exponential", delay: 100, jitter: 0.5 }, attempts: 3, priority: 1 });
});
