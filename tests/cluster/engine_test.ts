/** What is known to go wrong with the engine, and must not here; and what the executor passes on to it. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import { CancelledError } from "@concurrent/futures";
import type { ClusterExecutor, Remote } from "@concurrent/futures/cluster";
import { Queue } from "bullmq";
import { Buffer } from "node:buffer";
import { bothFail, BOUND, elapsed, Gate, Ledger, pause, runProgram, sleep, test, until, within } from "../_helpers.ts";
import { failUntil, tellAtGate, tellFunction, tellJob } from "../fixtures/cluster_tasks.ts";
import { throwValue } from "../fixtures/errors.ts";
import { echo, passGate, pauseOrPassGate, record, square } from "../fixtures/tasks.ts";
import { takeJobs } from "../../executors/cluster/_connection.ts";
import { VERSION } from "../../executors/cluster/_jobs.ts";
import { clusterTest, moduleUrls, sharedClusterTest, sharedPoolTest, untilServer, useNodes } from "./_kit.ts";

useNodes({ modules: { errors: "errors.ts", cluster_tasks: "cluster_tasks.ts" } });

/** For a node that runs no others. */
const TASKS = { modules: moduleUrls({ tasks: "tasks.ts" }) };

sharedPoolTest("cluster: results arrive when what nodes say is lost", 1, async ({ pool, server }) => {
  await using client = server.connect();
  assertEquals(await within(pool.submit(square, 2)), 4);
  const futures = Array.from({ length: 300 }, (_, i) => pool.submit(square, i));
  let kills = 0;
  while (futures.some((future) => !future.done()) && kills < 40) {
    kills += await client.call("CLIENT", "KILL", "TYPE", "pubsub") as number;
    await sleep(5);
  }
  assert(kills > 0, "no connection was killed");
  assertEquals(await within(Promise.all(futures), "results", 20_000), futures.map((_, i) => i * i));
});

clusterTest("cluster: a task that blocks its process for longer than locks last runs once", async (cluster) => {
  await Promise.all([1, 2].map(() => cluster.startNode(1, { ...TASKS, lock: 1_000 })));
  await using pool = cluster.make();
  using gate = new Gate();
  const future = pool.submit(passGate<number>, gate.path, 5);
  await gate.arrived();
  // A lock that is not renewed runs out after 1 s, and the other node looks for such jobs each half second.
  await sleep(2_500);
  assertEquals(gate.arrivals(), 1, "the task has begun once");
  gate.open();
  assertEquals([await within(future), future.attempts], [5, 1]);
});

sharedClusterTest("cluster: after shutdown() no connection is left", 1, async ({ make, server }) => {
  await using client = server.connect();
  const count = async () => (await client.call("CLIENT", "LIST") as string).trim().split("\n").length;
  const before = await count();
  const pool = make();
  assertEquals(await within(pool.submit(square, 2)), 4);
  assertEquals(await count(), before + 2);
  await pool.shutdown();
  await untilServer(async () => await count() === before, "the server hears of it");
});

clusterTest("cluster: a server that may lose jobs is warned about, by the program and by nodes", async (cluster) => {
  const node = await cluster.startNode(1, TASKS);
  const { code, stderr } = await runProgram("cluster_square.ts", [cluster.server.url, cluster.queue], {
    isLocked: true,
  });
  assertEquals(code, 0, stderr);
  for (const text of [stderr, node.stderr]) {
    assertStringIncludes(text, "maxmemory-policy is allkeys-lru");
    assertStringIncludes(text, "appendonly is no");
  }
}, { serverOptions: ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"] });

sharedClusterTest("cluster: attempts, backoff and the number of a job", 1, async ({ make, node, queue }) => {
  const ledger = new Ledger();
  await using pool = make({ attempts: 3, backoff: 20 });
  const future = pool.submit(failUntil, ledger.path, 3);
  assertEquals(await within(future), 3);
  assertEquals(future.attempts, 3);
  const jobs = ledger.lines().map((line) => JSON.parse(line));
  assertEquals(new Set(jobs.map(({ id }) => id)).size, 1, "the same number each time");
  assertEquals(jobs.map(({ attempt }) => attempt), [1, 2, 3]);
  const failing = pool.submit(throwValue, new RangeError("always"));
  await bothFail(failing, (error: RangeError & { remote: Remote }) => {
    assertInstanceOf(error, RangeError);
    assertEquals([error.message, error.remote.attempt], ["always", 3]);
    assert(error.remote.pid > 0 && error.remote.node === node.name, Deno.inspect(error.remote));
  });
  assertEquals(tellJob(), undefined, "not here");
  const told = await within(pool.submit(tellJob));
  assertEquals([told?.queue, told?.attempt], [queue, 1]);
});

sharedPoolTest("cluster: a task tells how far it has come", 1, async ({ pool, server, queue }) => {
  await using client = server.connect();
  using gate = new Gate();
  const values = [1, "two", { three: [3n, new Date(3)] }, null, "x".repeat(100_000), undefined];
  const future = pool.submit(tellAtGate, gate.path, values);
  const heard: unknown[] = [];
  future.addProgressCallback((value) => void heard.push(value));
  future.addProgressCallback((value) => void heard.push(value));
  await gate.arrived();
  const expected = values.flatMap((value) => [value, value]);
  await until(() => heard.length === expected.length, "the last value");
  assertEquals(heard, expected);
  assertEquals([future.state, future.done()], ["RUNNING", false]);
  const [id] = await client.lrange(`bull:${queue}:active`, 0, 0);
  const progress = [`bull:${queue}:${id}`, "progress"] as const;
  // It gets one after the other, and no message says when. The long one is not read: ioredis leaves a timer after that.
  await untilServer(async () => await client.hstrlen(...progress) === "null".length, "the engine has the last one");
  assertEquals(await client.hget(...progress), "null");
  gate.open();
  assertEquals(await within(future), "through");
  assertEquals(heard.length, expected.length);
  assertEquals(await within(pool.submit(tellFunction)), "SerializationError");
  assertEquals(tellFunction(), "nothing", "no node runs this");
});

sharedClusterTest("cluster: what has a higher priority runs first", 1, async ({ make }) => {
  await using low = make({ priority: 10 });
  await using high = make({ priority: 1 });
  const ledger = new Ledger();
  using gate = new Gate();
  const held = high.submit(passGate, gate.path);
  await gate.arrived();
  const futures = [1, 2, 3].map((n) => low.submit(record<number>, ledger.path, n));
  // They are in the queue once others of the same executor can be cancelled there.
  assertEquals(low.submit(record<number>, ledger.path, 4).cancel(), true);
  futures.push(...[11, 12].map((n) => high.submit(record<number>, ledger.path, n)));
  assertEquals(high.submit(record<number>, ledger.path, 13).cancel(), true);
  gate.open();
  await within(Promise.all([held, ...futures]));
  assertEquals(ledger.lines(), ["11", "12", "1", "2", "3"]);
});

sharedPoolTest("cluster: jobs of others that are no jobs fail, and the node works on", 1, async (cluster) => {
  const { pool } = cluster;
  await using client = cluster.server.connect();
  const queue = new Queue(cluster.queue, { connection: client });
  const task = { id: "x", modules: ["tasks"], how: "call", args: null };
  const wrong = [
    {},
    null,
    { v: VERSION - 1, tasks: [{ ...task, name: "square", args: { json: [3] } }] },
    { v: VERSION, tasks: [] },
    { v: VERSION, tasks: [{ ...task, name: 5 }] },
    { v: VERSION, tasks: [{ ...task, name: "square", args: { encoding: 99, text: "x", buffers: ["?"] } }] },
    ...["constructor", "__proto__", "toString", "then", "Deno"].map((name) => ({
      v: VERSION,
      tasks: [{ ...task, name }],
    })),
    { v: VERSION, tasks: [{ ...task, name: "square", modules: ["file:///etc/passwd", "../tasks", "__proto__"] }] },
  ];
  const jobs = await Promise.all(wrong.map((data) => queue.add("x", data)));
  for (const text of ["", "{", "null", "5", '{"what":"abort"}', '{"what":"recall","job":"x","task":"y"}']) {
    await client.publish(`bull:${cluster.queue}:control`, text);
  }
  assertEquals(await within(pool.submit(square, 3)), 9);
  const states = async () => await Promise.all(jobs.map((job) => job.getState()));
  await untilServer(async () => (await states()).every((state) => state === "failed"), "all have failed");
  await queue.close();
});

sharedPoolTest("cluster: what strangers say to an executor is ignored", 1, async ({ pool, server, queue }) => {
  await using client = server.connect();
  using gate = new Gate();
  const future = pool.submit(passGate<number>, gate.path, 1);
  await gate.arrived();
  const [channel] = await client.call("PUBSUB", "CHANNELS", `bull:${queue}:executor:*`) as string[];
  const id = channel.slice(channel.lastIndexOf(":") + 1);
  const messages = ["", "null", "[]", "5", "{}", '{"what":"ended","job":"x-1"}', '{"what":"begun","job":"__proto__"}'];
  messages.push(`{"what":"begun","job":"${id}-1","task":7}`, `{"what":"x","job":"${id}-1","task":0}`);
  for (const text of messages) {
    await client.publish(channel, text);
  }
  gate.open();
  assertEquals(await within(future), 1);
});

/** Lets node and executor know that a function is quick. */
function warm<A extends unknown[]>(pool: ClusterExecutor, fn: (...args: A) => unknown, ...args: A): void {
  for (let i = 0; i < 30; i++) pool.submit(fn, ...args).result(BOUND);
}

sharedPoolTest("cluster: quick tasks share jobs, and each is cancelled by itself", 1, async (cluster) => {
  const { pool } = cluster;
  await using client = cluster.server.connect();
  const completed = () => client.zcard(`bull:${cluster.queue}:completed`);
  const before = await completed();
  const ledger = new Ledger();
  warm(pool, record<number>, ledger.path, -1);
  using gate = new Gate();
  const held = pool.submit(passGate, gate.path);
  await gate.arrived();
  const futures = Array.from({ length: 400 }, (_, i) => pool.submit(record<number>, ledger.path, i));
  const cancelled = new Set<number>();
  for (let i = 0; i < futures.length; i += 3) if (futures[i].cancel()) cancelled.add(i);
  assertEquals(cancelled.size, 134);
  gate.open();
  await within(held);
  await within(Promise.all(futures.filter((_, i) => !cancelled.has(i))), "the rest", 20_000);
  const ran = ledger.numbers().filter((n) => n >= 0);
  assertEquals(ran, [...futures.keys()].filter((i) => !cancelled.has(i)));
  const jobs = await completed() - before;
  assert(jobs < 160, `${jobs} jobs for 266 tasks and 31 alone`);
});

sharedPoolTest("cluster: a task is cancelled on a node that has it and has not begun it", 1, async ({ pool }) => {
  const none = undefined as string | undefined;
  warm(pool, pauseOrPassGate<number>, 0, none, 0);
  using gate = new Gate();
  // The node has the job with the one at the gate, and so those behind it in the same job.
  const futures = Array.from({ length: 200 }, (_, i) => {
    return pool.submit(pauseOrPassGate<number>, i, i === 100 ? gate.path : none, 0);
  });
  await gate.arrived();
  const cancelled = [101, 102, 104, 199];
  for (const i of cancelled) assertEquals(futures[i].cancel(), true, `${i}`);
  assertEquals(futures[100].cancel(), false);
  gate.open();
  const outcomes = await within(Promise.allSettled(futures), "all", 20_000);
  for (const [i, outcome] of outcomes.entries()) {
    if (cancelled.includes(i)) assertInstanceOf((outcome as PromiseRejectedResult).reason, CancelledError);
    else assertEquals(outcome, { status: "fulfilled", value: i });
  }
});

clusterTest(
  "cluster: a task is cancelled on a node that has not yet got it when it is asked first",
  async ({ make, server, queue }) => {
    const path = new URL("../fixtures/programs/cluster_deaf_node.ts", import.meta.url).pathname;
    const args = ["run", "-A", "--quiet", "--no-check", path, server.url, queue];
    const node = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped" }).spawn();
    const output = node.stdout.pipeThrough(new TextDecoderStream()).getReader();
    try {
      await using pool = make();
      const future = pool.submit(square, 3);
      assertMatch((await within(output.read(), "the node has the job")).value!, /-1\n$/);
      assertEquals(future.cancel(), true);
    } finally {
      node.kill("SIGKILL");
      await node.status;
      await output.cancel();
    }
  },
);

clusterTest(
  "cluster: only what waits and was never begun is taken out of the queue",
  async ({ server, queue: name }) => {
    await using client = server.connect();
    const queue = new Queue(name, { connection: client });
    const add = (jobId: string, opts = {}) => queue.add("x", {}, { jobId, ...opts });
    await Promise.all([
      add("waits"),
      add("failed"),
      add("lost"),
      add("later", { delay: 60_000 }),
      add("first", { priority: 5 }),
    ]);
    const start = `bull:${name}:`;
    await client.hset(`${start}failed`, "atm", 1);
    await client.hset(`${start}lost`, "stc", 1);
    await client.hset(`${start}over`, "atm", 1, "finishedOn", 1);
    assertEquals(
      await takeJobs(client, start, ["waits", "failed", "lost", "later", "first", "unknown", "waits", "over"]),
      ["taken", "begun", "begun", "taken", "taken", "away", "away", "away"],
    );
    assertEquals(await queue.getJobCounts("wait", "delayed", "prioritized"), { wait: 2, delayed: 0, prioritized: 0 });
    assertEquals(await client.exists(`${start}waits`), 0);
    await queue.pause();
    await add("paused");
    assertEquals(await takeJobs(client, start, ["paused", "lost"]), ["taken", "begun"]);
    assertEquals(await takeJobs(client, start, ["failed", "lost", "unknown"], true), ["taken", "taken", "away"]);
    await queue.close();
  },
);

sharedClusterTest("cluster: quick tasks of one worker run in the order of their submission", 1, async ({ make }) => {
  await using pool = make({ attempts: 2 }); // so that each is a job of its own
  const ledger = new Ledger();
  warm(pool, record<number>, ledger.path, -1);
  const futures = Array.from({ length: 500 }, (_, i) => pool.submit(record<number>, ledger.path, i));
  await within(Promise.all(futures), "all", 20_000);
  assertEquals(ledger.lines().map(Number).filter((n) => n >= 0), [...futures.keys()]);
});

sharedPoolTest("cluster: cancel() never waits long for a task that is just ending", 1, ({ pool }) => {
  warm(pool, square, 1);
  let longest = 0;
  for (let i = 0; i < 200; i++) {
    const future = pool.submit(square, i);
    pause(i % 6);
    longest = Math.max(longest, elapsed(() => future.cancel()));
  }
  assert(longest < 900, `cancel() took ${longest} ms`);
});

clusterTest("cluster: for tasks that come one by one the engine asks for no job in vain", async (cluster) => {
  await cluster.startNode(1, TASKS);
  await using client = cluster.server.connect();
  await using pool = cluster.make();
  const scripts = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info("commandstats"))![1]);
  let ended = 0;
  const runOne = async () => {
    assertEquals(await within(pool.submit(square, 3)), 9);
    ended++;
    // The executor has a result before the server, which would give the node the next task with the end of this one.
    await untilServer(async () => await client.zcard(`bull:${cluster.queue}:completed`) === ended, "it has ended");
  };
  // As many that the node knows that they are quick, the last ones of which wait for a process together.
  for (let i = 0; i < 40; i++) await runOne();
  const together = Array.from({ length: 20 }, (_, i) => pool.submit(square, i));
  await within(Promise.all(together));
  await untilServer(async () => await client.llen(`bull:${cluster.queue}:active`) === 0, "all have ended");
  ended = await client.zcard(`bull:${cluster.queue}:completed`);
  for (let i = 0; i < 8; i++) await runOne();
  const before = await scripts();
  const count = 60;
  for (let i = 0; i < count; i++) await runOne();
  // To add it, to give it to the node, to end it, and at times to find that there is no more. One in vain is a fifth.
  const calls = await scripts() - before;
  assert(calls < count * 4.5, `${calls} scripts for ${count} tasks`);
}, { ownServer: true });

sharedPoolTest(
  "cluster: tasks that wait behind a slow one go to a node that is idle",
  1,
  async ({ pool, startNode, server, queue }) => {
    await using client = server.connect();
    for (let i = 0; i < 60; i++) pool.submit(square, i).result(BOUND);
    using gate = new Gate();
    // Tasks that are quick, and more than it has processes: then the node takes more jobs than these.
    for (let i = 0; i < 100; i++) pool.submit(square, i);
    const held = pool.submit(passGate<string>, gate.path, "held");
    const futures = [1, 2, 3].map((n) => pool.submit(square, n));
    await gate.arrived();
    await untilServer(async () => await client.llen(`bull:${queue}:wait`) === 0, "the node has all jobs");
    await startNode(1, TASKS);
    assertEquals(await within(Promise.all(futures)), [1, 4, 9]);
    assertEquals(held.done(), false);
    gate.open();
    assertEquals(await within(held), "held");
  },
);

sharedPoolTest("cluster: values of 10 MB there and back", 1, async ({ pool }) => {
  const text = "x".repeat(10_000_000);
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const large = new Uint8Array(10_000_000);
  for (let i = 0; i < large.length; i += bytes.length) large.set(bytes.subarray(0, large.length - i), i);
  assertEquals(await within(pool.submit(echo<string>, text), "10 MB of text", 20_000), text);
  const back = await within(pool.submit(echo<Uint8Array>, large), "10 MB of bytes", 20_000);
  assert(Buffer.from(back.buffer, back.byteOffset, back.length).equals(large));
});

clusterTest(
  "cluster: the user of executors/cluster/README.md may do all that programs and nodes do, and is refused nothing",
  async ({ make, startNode, server, queue }) => {
    const guide = Deno.readTextFileSync(new URL("../../executors/cluster/README.md", import.meta.url));
    await using client = server.connect();
    const commands = [...guide.matchAll(/^ *ACL SETUSER (.*)$/gm)];
    assert(commands.length > 0);
    for (const [, user] of commands) await client.call("ACL", ["SETUSER", ...user.split(" ")]);
    const redis = server.url.replace("//", "//futures:secret@");
    await startNode(1, { redis, modules: moduleUrls({ tasks: "tasks.ts", errors: "errors.ts" }) });
    await using pool = make({ redis, attempts: 2, keepResults: 1_000 });
    assertEquals(await within(pool.submit(square, 3)), 9);
    assertEquals(await within(pool.submit(echo<string>, "x".repeat(20_000))), "x".repeat(20_000));
    await bothFail(pool.submit(throwValue, new RangeError("always")), (error) => assertInstanceOf(error, RangeError));
    using gate = new Gate();
    const held = pool.submit(passGate, gate.path);
    await gate.arrived();
    assertEquals(pool.submit(square, 4).cancel(), true);
    gate.open();
    await within(held);
    // A node looks for names of jobs that are gone.
    const completed = () => client.zcard(`bull:${queue}:completed`);
    await untilServer(async () => await completed() === 0, "the names of jobs are removed", 12_000);
    assertEquals(await client.call("ACL", "LOG"), []);
  },
  { ownServer: true },
);

test("cluster: what uses no cluster loads nothing of it", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", new URL("../../mod.ts", import.meta.url).pathname],
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  const specifiers: string[] = modules.map(({ specifier }: { specifier: string }) => specifier);
  assert(specifiers.some((specifier) => specifier.endsWith("/thread_pool_executor.ts")));
  assertEquals(specifiers.filter((specifier) => /bullmq|ioredis|executors\/cluster\//.test(specifier)), []);
});
