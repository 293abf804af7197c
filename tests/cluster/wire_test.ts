/**
 * What comes from the server and is not what a program or a node says: it is refused or ignored, and harms nobody else.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { Gate, test, until, within } from "../_helpers.ts";
import { tellAtGate } from "../fixtures/cluster_tasks.ts";
import { passGate, square } from "../fixtures/tasks.ts";
import { checkJobData, checkJobResult, isOfExecutor, VERSION } from "../../executors/cluster/_jobs.ts";
import { readControl, readNodeMessage } from "../../executors/cluster/_messages.ts";
import { clusterTest, sharedClusterTest, untilServer, useNodes } from "./_kit.ts";

useNodes({ modules: { cluster_tasks: "cluster_tasks.ts" } });

/** What no value of a job is. */
const VALUES = [
  undefined,
  {},
  5,
  "x",
  [],
  { encoding: 99, text: "", buffers: [] },
  { encoding: 6, text: "x", buffers: ["?"] },
  { text: 5 },
];

/** What nobody says of where and when a task ran. */
const RUNS = [null, 5, "x", {}, [], ["n", 1], ["n", 2, 1], ["n", 0, 1], ["n", "1", "2"], [5, 1, 2], [null, 1, 2]];

/** The channel of the only executor of a queue. */
async function channelOf(client: Redis, queue: string): Promise<{ channel: string; id: string }> {
  const [channel] = await client.call("PUBSUB", "CHANNELS", `bull:${queue}:executor:*`) as string[];
  return { channel, id: channel.slice(channel.lastIndexOf(":") + 1) };
}

sharedClusterTest("cluster: messages that no node has written break nothing, whatever they say", 2, async (cluster) => {
  await using pool = cluster.make();
  await using client = cluster.server.connect();
  using gate = new Gate();
  const running = pool.submit(passGate<number>, gate.path, 1);
  const telling = pool.submit(tellAtGate, gate.path, ["a"]);
  const heard: unknown[] = [];
  telling.addProgressCallback((value) => heard.push(value));
  await gate.arrived(2);
  const { channel, id } = await channelOf(client, cluster.queue);
  const ids = [1, 2].map((n) => `${id}-${n}`);
  const fine = { ok: true, attempt: 1, ms: 1, value: null };
  const outcomes = [
    null,
    {},
    { ok: true, attempt: 1, ms: 1 },
    { recalled: false, ...fine },
    { unknown: 5, ...fine },
    ...[0, -1, 1.5, "1", null].map((attempt) => ({ ...fine, attempt })),
    ...[-1, "1", null].map((ms) => ({ ...fine, ms })),
    ...VALUES.map((value) => ({ ...fine, value })),
    ...RUNS.map((ran) => ({ ...fine, ran })),
    // It has none.
    { timedOut: "node", attempt: 1, ms: 1 },
  ];
  const results = [
    null,
    5,
    [],
    {},
    { outcomes: {} },
    { outcomes: [] },
    { outcomes: [fine, fine] },
    ...outcomes.map((outcome) => ({ outcomes: [outcome] })),
  ];
  const places = [-1, 0.5, 7, "0", null, undefined, "constructor", "__proto__", "length"];
  for (const job of ids) {
    const messages: unknown[] = [
      ...results.map((result) => ({ what: "ended", job, result })),
      ...VALUES.map((value) => ({ what: "progress", job, task: 0, value })),
      ...places.flatMap((task) => {
        return ["begun", "recalled", "progress"].map((what) => ({ what, job, task, value: null }));
      }),
      { what: "constructor", job, task: 0 },
      { job, task: 0 },
    ];
    for (const message of messages) await client.publish(channel, JSON.stringify(message));
  }
  // What is not even JSON, and jobs that are none.
  for (const text of ["", "{", "null", "[]", '{"what":"ended","job":{}}', '{"what":"begun","job":null,"task":0}']) {
    await client.publish(channel, text);
  }
  await client.publish(channel, JSON.stringify({ what: "progress", job: ids[1], task: 0, value: { json: "last" } }));
  await until(() => heard.at(-1) === "last", "the last message");
  assertEquals([running.done(), telling.done()], [false, false]);
  gate.open();
  assertEquals(await within(running), 1);
  assertEquals(await within(telling), "through");
  assertEquals(heard.filter((value) => value !== "a" && value !== "last"), [], "nothing else was told");
});

clusterTest("cluster: a result on the server that no node has written fails its own job only", async (cluster) => {
  await using pool = cluster.make();
  await using client = cluster.server.connect();
  // There is no node. Where the test fails, the pool would wait for ever at its end, unless its jobs are gone.
  await using _ = { [Symbol.asyncDispose]: async () => void await client.flushall() };
  const wrong = ["", "{", "null", "5", '{"outcomes":[]}', '{"outcomes":[{"ok":true,"attempt":1,"ms":1,"value":{}}]}'];
  const futures = wrong.map((_, i) => pool.submit(square, i));
  const waiting = () => client.llen(`bull:${cluster.queue}:wait`);
  await untilServer(async () => await waiting() === wrong.length, "they wait");
  const { id } = await channelOf(client, cluster.queue);
  for (const [i, value] of wrong.entries()) {
    await client.hset(`bull:${cluster.queue}:${id}-${i + 1}`, "returnvalue", value, "finishedOn", "1");
  }
  const fine = pool.submit(square, 7);
  for (const future of futures) {
    const { message } = await within(future.then(() => ({ message: "" }), (error) => error)) as Error;
    assertMatch(message, /was lost: (SyntaxError|TypeError): /);
  }
  assertEquals([fine.done(), fine.cancel()], [false, true]);
}, { ownServer: true });

sharedClusterTest(
  "cluster: jobs of others that fail end as failed, and those whose arguments are no list",
  2,
  async (cluster) => {
    await using client = cluster.server.connect();
    const queue = new Queue(cluster.queue, { connection: client });
    const add = (name: string, how: string, args: unknown, opts = {}, module = "tasks") => {
      return queue.add("x", { v: VERSION, tasks: [{ id: "x", modules: [module], name, how, args }] }, opts);
    };
    const failing = await Promise.all([
      add("list", "call", { json: "abc" }),
      add("list", "call", { json: 5 }),
      add("list", "call", { encoding: 3, text: '[0,"abc"]', buffers: [] }),
      add("list", "chunk", { json: ["abc"] }),
      add("list", "column", { encoding: 3, text: '[0,"abc"]', buffers: [] }),
      add("list", "call", "abc"),
      add("failToStart", "call", { text: "always" }),
      add("failToStart", "call", { text: "always" }, { attempts: 2 }),
      add("nothing", "call", null),
      add("list", "call", null, {}, "nowhere"),
    ]);
    const fine = await Promise.all([add("list", "call", { json: ["abc", 5] }), add("list", "call", { text: "abc" })]);
    const isOver = async () => {
      const { wait, active, delayed } = await queue.getJobCounts("wait", "active", "delayed");
      return wait + active + delayed === 0;
    };
    await untilServer(isOver, "all have ended", 20_000);
    assertEquals(await Promise.all(failing.map((job) => job.getState())), failing.map(() => "failed"));
    const reasons = await Promise.all(
      failing.map(async ({ id }) => await client.hget(`bull:${cluster.queue}:${id}`, "failedReason")),
    );
    assertMatch(reasons[0]!, /Cannot read an invalid job: /);
    assertMatch(reasons[2]!, /arguments that are not a list: /);
    assertMatch(reasons[6]!, /"ok":false.*always/);
    assertEquals(await Promise.all(fine.map((job) => job.getState())), ["completed", "completed"]);
    const values = await Promise.all(fine.map(async ({ id }) => {
      return JSON.parse((await client.hget(`bull:${cluster.queue}:${id}`, "returnvalue"))!).outcomes[0].value;
    }));
    assertEquals(values, [{ json: ["abc", 5] }, { json: ["abc"] }]);
    await queue.close();
  },
);

test("cluster: what a node and a program read from channels is what the other one says, or nothing", () => {
  for (const text of ["", "null", "5", "[]", "{}", '"x"']) {
    assertEquals([readNodeMessage(text), readControl(text)], [undefined, undefined], text);
  }
  for (const control of [{ what: "stop" }, { task: "0" }, { task: -1 }, { job: 5 }, { job: null }]) {
    assertEquals(readControl(JSON.stringify({ what: "abort", job: "x-1", task: 0, ...control })), undefined);
  }
  for (const what of ["abort", "recall"]) assert(readControl(JSON.stringify({ what, job: "x-1", task: 0 })));
  for (const grace of ["5", null, {}]) {
    assertEquals(readControl(JSON.stringify({ what: "abort", job: "x-1", task: 0, grace })), undefined);
  }
  const signal = { what: "signal", executor: "x", signal: 1, reason: "3 [0]" };
  assert(readControl(JSON.stringify(signal)));
  for (const change of [{ executor: 5 }, { signal: "1" }, { signal: -1 }, { reason: 5 }, { reason: null }]) {
    assertEquals(readControl(JSON.stringify({ ...signal, ...change })), undefined, Deno.inspect(change));
  }
  for (const what of ["begun", "recalled"]) assert(readNodeMessage(JSON.stringify({ what, job: "x-1", task: 0 })));
  for (const what of ["ended", "outcomes"]) assert(readNodeMessage(JSON.stringify({ what, job: "x-1" })));
  assert(readNodeMessage('{"what":"progress","job":"x-1","task":0,"value":null}'));
});

test("cluster: a node refuses a job of another version, and says which ones", () => {
  const tasks = [{ id: "x", modules: ["tasks"], name: "square", how: "call", args: { json: [1] } }];
  checkJobData({ v: VERSION, tasks });
  for (const v of [VERSION - 1, VERSION + 1, undefined, String(VERSION)]) {
    const given = JSON.stringify(v);
    const message = `Cannot run a job of version ${given}, because this node knows version ${VERSION}. To fix it, `;
    assertThrows(() => checkJobData({ v, tasks }), TypeError, message);
  }
});

test("cluster: jobs and results are looked at before they are believed", () => {
  const task = { id: "x", modules: ["tasks"], name: "square", how: "call", args: { json: [1] } };
  const outcome = { ok: true, attempt: 1, ms: 0, value: null };
  checkJobData({ v: VERSION, tasks: [task] });
  checkJobData({ v: VERSION, tasks: [task], keep: 1_000 });
  checkJobResult({ outcomes: [outcome] }, 1);
  const refuses = (check: () => void) => {
    try {
      check();
    } catch (error) {
      return error instanceof TypeError;
    }
    return false;
  };
  for (const keep of [0, -1, 1.5, "5", null, {}]) {
    assert(refuses(() => checkJobData({ v: VERSION, tasks: [task], keep })));
  }
  for (const args of [undefined, 5, "x", { json: "abc" }, { json: null }, { json: { length: 1 } }]) {
    assert(refuses(() => checkJobData({ v: VERSION, tasks: [{ ...task, args }] })), Deno.inspect(args));
  }
  for (const change of [{ label: 5 }, { timeout: "5" }, { timeout: null }, { grace: {} }, { signals: 5 }]) {
    assert(refuses(() => checkJobData({ v: VERSION, tasks: [{ ...task, ...change }] })), Deno.inspect(change));
  }
  for (const signals of ["x", [1.5], ["1"], [null]]) {
    assert(refuses(() => checkJobData({ v: VERSION, tasks: [{ ...task, signals }] })), Deno.inspect(signals));
  }
  checkJobData({ v: VERSION, tasks: [{ ...task, label: "mine", timeout: 5, grace: 0, signals: [1, 2] }] });
  for (const ran of RUNS) assert(refuses(() => checkJobResult({ outcomes: [{ ...outcome, ran }] }, 1)));
  for (const timedOut of [5, null, "x".repeat(1_000)]) {
    assert(refuses(() => checkJobResult({ outcomes: [{ timedOut, attempt: 1, ms: 0 }] }, 1)));
  }
  checkJobResult({ outcomes: [{ timedOut: "node", attempt: 1, ms: 0, ran: ["node_0", 1, 2] }] }, 1);
  for (const change of [{ attempt: 0 }, { attempt: NaN }, { ms: -1 }, { ms: NaN }, { ok: 1 }]) {
    assert(refuses(() => checkJobResult({ outcomes: [{ ...outcome, ...change }] }, 1)), Deno.inspect(change));
  }
  assert(isOfExecutor(`${crypto.randomUUID()}-12`) && isOfExecutor(`${crypto.randomUUID()}-12.3`));
  for (const id of ["1", "x-1", "", `${crypto.randomUUID()}`, `${crypto.randomUUID()}-x`]) {
    assert(!isOfExecutor(id), id);
  }
});
