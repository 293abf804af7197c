/** When a node begins jobs, and in which order, whatever the engine does before it hands them over. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Queue, Worker as JobWorker } from "bullmq";
import { setImmediate } from "node:timers";
import { test, until, within } from "../_helpers.ts";
import { type Coming, Intake } from "../../executors/cluster/_intake.ts";
import { clusterTest, untilServer } from "./_kit.ts";

function job(number: number, timestamp = 1): Coming {
  return { id: `executor-${number}`, timestamp };
}

/** A node that records what has begun. */
function observe(): { intake: Intake<Coming, string>; begun: string[] } {
  const begun: string[] = [];
  const intake = new Intake((job: Coming) => {
    const name = job.id!.replace("executor-", "");
    begun.push(name);
    return name === "13" ? Promise.reject(new RangeError(name)) : Promise.resolve(name);
  });
  return { intake, begun };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => void setImmediate(resolve));
}

test("cluster: jobs that the engine gets at once begin in their order, and none waits to be handed over", async () => {
  const { intake, begun } = observe();
  const jobs = [job(9), job(10), job(11.5), job(1, 2), job(2, 2)];
  for (const job of jobs.toReversed()) {
    intake.announce(job);
    // The engine may take some more steps for one than for another.
    for (let i = 0; i < 16; i++) await undefined;
  }
  assertEquals(begun, [], "others may come before them");
  await turns(1);
  assertEquals(begun, ["9", "10", "11.5", "1", "2"]);
  const outcomes = await within(Promise.all(jobs.map((job) => intake.run(job))));
  assertEquals([outcomes, begun], [begun, ["9", "10", "11.5", "1", "2"]], "each has begun once");
  const [first, second] = [intake.run(job(3)), intake.run(job(2))];
  assertEquals([await within(second), await within(first)], ["2", "3"]);
  assertEquals(begun.slice(5), ["2", "3"], "also where the engine does not say before what it has got");
});

test("cluster: a job that fails before it is handed over fails then, and nothing else", async () => {
  const { intake } = observe();
  const unlucky = job(13);
  intake.announce(unlucky);
  await turns(3); // an unhandled rejection would fail the test
  await assertRejects(() => intake.run(unlucky), RangeError, "13");
});

test("cluster: a job that the engine lets fail by itself never begins", async () => {
  const { intake, begun } = observe();
  intake.announce({ ...job(1), deferredFailure: "child failed" });
  await turns(3);
  assertEquals(begun, []);
});

clusterTest("cluster: a job begins while the engine waits for what the server has besides", async (cluster) => {
  const { server, queue: name } = cluster;
  await using client = server.connect();
  const pause = new Deno.Command("redis-cli", {
    args: ["-p", String(server.port), "CLIENT", "PAUSE", "500", "ALL"],
    stdout: "null",
  });
  const seen: string[] = [];
  const intake = new Intake((job: Coming) => {
    seen.push(`${job.id} begins`);
    return Promise.resolve(job.id);
  });
  const queue = new Queue(name, { connection: client });
  const worker = new JobWorker(name, (job) => {
    seen.push(`${job.id} is handed over`);
    return intake.run(job);
  }, { connection: client, concurrency: 2, drainDelay: 1 });
  worker.on("active", (job) => {
    // The engine hands over its first job at once, and one that it does not wait for.
    if (job.id === "x-2") assert(pause.outputSync().success, "the server answers nobody for a while");
    intake.announce(job);
  });
  worker.on("completed", (job, result) => seen.push(`${job.id} has ended: ${result}`));
  await worker.waitUntilReady();
  const isWaiting = async () => /blocked_clients:1\b/.test(await client.info("clients"));
  for (const id of ["x-1", "x-2"]) {
    await untilServer(isWaiting, "the engine waits for a job", 5_000);
    await queue.add("x", {}, { jobId: id });
    await until(() => seen.at(-1) === `${id} has ended: ${id}`, "its end");
  }
  assertEquals(seen.slice(-3), ["x-2 begins", "x-2 is handed over", "x-2 has ended: x-2"]);
  await worker.close();
  await queue.close();
});
