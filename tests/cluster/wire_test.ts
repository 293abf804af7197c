/**
 * What comes from the server and is not what a program or a node says: it is refused or ignored, and harms nobody else.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { Gate, sleep, test, until, within } from "../_helpers.ts";
import { tellAtGate } from "../fixtures/cluster_tasks.ts";
import { passGate, square } from "../fixtures/tasks.ts";
import { checkJobData, checkJobResult, isOfExecutor, readControl, readNote } from "../../executors/cluster/_jobs.ts";
import { clusterTest } from "./_kit.ts";

/** What no payload is. */
const PAYLOADS = [
  undefined,
  {},
  5,
  "x",
  [],
  { kind: 99, text: "", buffers: [] },
  { kind: 6, text: "x", buffers: ["?"] },
  { text: 5 },
];

/** The channel of the only executor of a queue. */
async function channelOf(client: Redis, queue: string): Promise<{ channel: string; id: string }> {
  const [channel] = await client.call("PUBSUB", "CHANNELS", `bull:${queue}:notes:*`) as string[];
  return { channel, id: channel.slice(channel.lastIndexOf(":") + 1) };
}

clusterTest("cluster: notes that no node has written break nothing, whatever they say", async (cluster) => {
  await cluster.startNode(2);
  await using pool = cluster.make();
  await using client = cluster.server.connect();
  using gate = new Gate();
  const running = pool.submit(passGate<number>, gate.path, 1);
  const telling = pool.submit(tellAtGate, gate.path, ["a"]);
  const heard: unknown[] = [];
  telling.onProgress((value) => heard.push(value));
  await gate.arrived(2);
  const { channel, id } = await channelOf(client, cluster.queue);
  const ids = [1, 2].map((n) => `${id}-${n}`);
  const fine = { ok: true, attempt: 1, ms: 1, payload: null };
  const outcomes = [
    null,
    {},
    { ok: true, attempt: 1, ms: 1 },
    { returned: false, ...fine },
    { unknown: 5, ...fine },
    ...[0, -1, 1.5, "1", null].map((attempt) => ({ ...fine, attempt })),
    ...[-1, "1", null].map((ms) => ({ ...fine, ms })),
    ...PAYLOADS.map((payload) => ({ ...fine, payload })),
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
    const notes: unknown[] = [
      ...results.map((result) => ({ what: "ended", job, result })),
      ...PAYLOADS.map((payload) => ({ what: "progress", job, task: 0, payload })),
      ...places.flatMap((task) => {
        return ["begun", "returned", "progress"].map((what) => ({ what, job, task, payload: null }));
      }),
      { what: "constructor", job, task: 0 },
      { job, task: 0 },
    ];
    for (const note of notes) await client.publish(channel, JSON.stringify(note));
  }
  // What is not even JSON, and jobs that are none.
  for (const text of ["", "{", "null", "[]", '{"what":"ended","job":{}}', '{"what":"begun","job":null,"task":0}']) {
    await client.publish(channel, text);
  }
  await client.publish(channel, JSON.stringify({ what: "progress", job: ids[1], task: 0, payload: { json: "last" } }));
  await until(() => heard.at(-1) === "last", "the last note");
  assertEquals([running.done(), telling.done()], [false, false]);
  gate.open();
  assertEquals(await within(running), 1);
  assertEquals(await within(telling), "through");
  assertEquals(heard.filter((value) => value !== "a" && value !== "last"), [], "nothing else was told");
});

clusterTest("cluster: a result on the server that no node has written fails its own job only", async (cluster) => {
  await using pool = cluster.make();
  await using client = cluster.server.connect();
  const wrong = ["", "{", "null", "5", '{"outcomes":[]}', '{"outcomes":[{"ok":true,"attempt":1,"ms":1,"payload":{}}]}'];
  const futures = wrong.map((_, i) => pool.submit(square, i));
  while (await client.llen(`bull:${cluster.queue}:wait`) < wrong.length) await sleep(1);
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
});

clusterTest(
  "cluster: jobs of others that fail end as failed, and those whose arguments are no list",
  async (cluster) => {
    await cluster.startNode(1);
    await using client = cluster.server.connect();
    const queue = new Queue(cluster.queue, { connection: client });
    const add = (name: string, how: string, payload: unknown, opts = {}, module = "tasks") => {
      return queue.add("x", { v: 1, tasks: [{ id: "x", modules: [module], name, how, payload }] }, opts);
    };
    const failing = await Promise.all([
      add("list", "call", { json: "abc" }),
      add("list", "call", { json: 5 }),
      add("list", "call", { kind: 3, text: '[0,"abc"]', buffers: [] }),
      add("list", "chunk", { json: ["abc"] }),
      add("list", "column", { kind: 3, text: '[0,"abc"]', buffers: [] }),
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
    for (const end = performance.now() + 20_000; !await isOver();) assert(performance.now() < end, "all have ended");
    assertEquals(await Promise.all(failing.map((job) => job.getState())), failing.map(() => "failed"));
    const reasons = await Promise.all(
      failing.map(async ({ id }) => await client.hget(`bull:${cluster.queue}:${id}`, "failedReason")),
    );
    assertMatch(reasons[0]!, /Cannot read as a job/);
    assertMatch(reasons[2]!, /arguments that are no list/);
    assertMatch(reasons[6]!, /"ok":false.*always/);
    assertEquals(await Promise.all(fine.map((job) => job.getState())), ["completed", "completed"]);
    const values = await Promise.all(fine.map(async ({ id }) => {
      return JSON.parse((await client.hget(`bull:${cluster.queue}:${id}`, "returnvalue"))!).outcomes[0].payload;
    }));
    assertEquals(values, [{ json: ["abc", 5] }, { json: ["abc"] }]);
    await queue.close();
  },
);

test("cluster: what a node and a program read from channels is what the other one says, or nothing", () => {
  for (const text of ["", "null", "5", "[]", "{}", '"x"']) {
    assertEquals([readNote(text), readControl(text)], [undefined, undefined], text);
  }
  for (const control of [{ what: "stop" }, { task: "0" }, { task: -1 }, { job: 5 }, { job: null }]) {
    assertEquals(readControl(JSON.stringify({ what: "abort", job: "x-1", task: 0, ...control })), undefined);
  }
  for (const what of ["abort", "back"]) assert(readControl(JSON.stringify({ what, job: "x-1", task: 0 })));
  for (const what of ["begun", "returned"]) assert(readNote(JSON.stringify({ what, job: "x-1", task: 0 })));
  assert(readNote('{"what":"ended","job":"x-1"}'));
  assert(readNote('{"what":"progress","job":"x-1","task":0,"payload":null}'));
});

test("cluster: jobs and results are looked at before they are believed", () => {
  const task = { id: "x", modules: ["tasks"], name: "square", how: "call", payload: { json: [1] } };
  const outcome = { ok: true, attempt: 1, ms: 0, payload: null };
  checkJobData({ v: 1, tasks: [task] });
  checkJobData({ v: 1, tasks: [task], keep: 1_000 });
  checkJobResult({ outcomes: [outcome] }, 1);
  const refuses = (check: () => void) => {
    try {
      check();
    } catch (error) {
      return error instanceof TypeError;
    }
    return false;
  };
  for (const keep of [0, -1, 1.5, "5", null, {}]) assert(refuses(() => checkJobData({ v: 1, tasks: [task], keep })));
  for (const payload of [undefined, 5, "x", { json: "abc" }, { json: null }, { json: { length: 1 } }]) {
    assert(refuses(() => checkJobData({ v: 1, tasks: [{ ...task, payload }] })), Deno.inspect(payload));
  }
  for (const change of [{ attempt: 0 }, { attempt: NaN }, { ms: -1 }, { ms: NaN }, { ok: 1 }]) {
    assert(refuses(() => checkJobResult({ outcomes: [{ ...outcome, ...change }] }, 1)), Deno.inspect(change));
  }
  assert(isOfExecutor(`${crypto.randomUUID()}-12`) && isOfExecutor(`${crypto.randomUUID()}-12.3`));
  for (const id of ["1", "x-1", "", `${crypto.randomUUID()}`, `${crypto.randomUUID()}-x`]) {
    assert(!isOfExecutor(id), id);
  }
});
