/** What the broker of a cluster knows of its tasks, and what their slots say then. */
import { assertEquals } from "@std/assert";
import { InFlight, type Job } from "../../executors/cluster/_in_flight.ts";
import type { Task } from "../../executors/_queue/consumer.ts";
import { PASSED_ON } from "../../executors/_queue/posted.ts";
import { RecordType, TaskState } from "../../executors/_queue/protocol.ts";
import { sleep, test } from "../_helpers.ts";
import { Bench } from "../protocol/_kit.ts";

const DEFINITION = { how: "reference", name: "square", module: "file:///tasks.ts", path: "square" } as const;

/** Tasks of a queue, by their slots, that were sent in a job each. */
function send(...slots: number[]): {
  inFlight: InFlight;
  jobs: Job[];
  stateOf(slot: number): number;
  /** What the owner is told first. */
  told(): number | undefined;
  /** As the owner does. */
  cancel(slot: number): boolean;
} {
  const bench = new Bench(1, PASSED_ON);
  const [consumer] = bench.consumers;
  const options = { id: crypto.randomUUID(), aliases: new Map(), packs: false };
  const inFlight = new InFlight(consumer, options, () => {});
  for (const slot of slots) {
    bench.push(slot, slot);
    const task = consumer.take() as Task;
    consumer.start(task, TaskState.PREFETCHED);
    inFlight.take(task, DEFINITION);
  }
  const { slots: states } = bench.queue;
  const { PENDING, CANCELLED } = TaskState;
  return {
    inFlight,
    jobs: inFlight.makeJobs(),
    stateOf: (slot) => Atomics.load(states, slot),
    told: () => bench.rings[0].peek()?.type,
    cancel: (slot) => Atomics.compareExchange(states, slot, PENDING, CANCELLED) === PENDING,
  };
}

/** Sends what has come back once more. */
async function sendAgain(inFlight: InFlight): Promise<Job[]> {
  await sleep(inFlight.heldFor);
  inFlight.takeBacklog();
  return inFlight.makeJobs();
}

test("cluster: a task that counted as begun and comes back all the same begins like any other", async () => {
  const { inFlight, jobs: [job], stateOf } = send(3);
  const [task] = job.tasks;
  inFlight.markBegun(task);
  assertEquals(stateOf(3), TaskState.RUNNING, "no node has answered in time");
  inFlight.markRecalled(task);
  assertEquals(stateOf(3), TaskState.PENDING, "it had not begun");
  const [again] = await sendAgain(inFlight);
  assertEquals([again.id, again.tasks, stateOf(3)], [`${job.id}.1`, [task], TaskState.PREFETCHED]);
  inFlight.markBegun(task);
  assertEquals(stateOf(3), TaskState.RUNNING);
});

test("cluster: what comes of a job that its tasks have left changes nothing", async () => {
  const { inFlight, jobs: [job], stateOf } = send(3);
  const [task] = job.tasks;
  inFlight.markRecalled(task);
  inFlight.end(job);
  await sendAgain(inFlight);
  assertEquals([inFlight.size, task.recalls], [1, 1]);
  const late = { outcomes: [{ ok: true, attempt: 1, ms: 1, value: null }] };
  inFlight.complete(job, late, 10);
  inFlight.fail(job, { what: "lost", message: "late" });
  assertEquals([stateOf(3), task.state, inFlight.size], [TaskState.PREFETCHED, "sent", 1]);
  inFlight.complete(task.job!, late, 10);
  assertEquals([stateOf(3), task.state, inFlight.size], [TaskState.DONE, "done", 0]);
  inFlight.markRecalled(task);
  inFlight.markBegun(task);
  assertEquals([stateOf(3), task.state, inFlight.hasBacklog], [TaskState.DONE, "done", false]);
});

test("cluster: the outcome of a task settles it while its job goes on, and a wrong one harms no other task", () => {
  const fine = JSON.stringify({ ok: true, attempt: 1, ms: 1, value: null });
  const wrong = ["", "{", "null", "5", "{}", '{"ok":true}', '{"timedOut":"node","attempt":1,"ms":1}'];
  for (const text of [fine, ...wrong]) {
    const { inFlight, jobs: [job, other], stateOf, told } = send(3, 4);
    inFlight.completeTask(job, 0, text);
    assertEquals([stateOf(3), job.tasks[0].state, inFlight.size], [TaskState.DONE, "done", 1], text);
    assertEquals([stateOf(4), other.tasks[0].state], [TaskState.PREFETCHED, "sent"], text);
    assertEquals(told(), text === fine ? RecordType.VALUE : RecordType.LOST, text);
    assertEquals([...inFlight.jobs.values()], [job, other], "its end is still to come");
    inFlight.completeTask(job, 0, fine);
    inFlight.complete(job, { outcomes: [JSON.parse(fine)] }, fine.length);
    assertEquals([...inFlight.jobs.values()], [other]);
  }
});

test("cluster: the outcome of a task that has left its job changes nothing", async () => {
  const { inFlight, jobs: [job], stateOf } = send(3);
  inFlight.completeTask(job, 0, '{"recalled":true}');
  assertEquals([stateOf(3), inFlight.hasBacklog], [TaskState.PENDING, true]);
  await sendAgain(inFlight);
  inFlight.completeTask(job, 0, '{"ok":true,"attempt":1,"ms":1,"value":null}');
  assertEquals([stateOf(3), job.tasks[0].state], [TaskState.PREFETCHED, "sent"]);
});

test("cluster: a task that the owner cancels while it is recalled is not sent again, and the others wait", async () => {
  const { inFlight, jobs, stateOf, cancel } = send(3, 4, 5);
  for (const { tasks: [task] } of jobs.toReversed()) inFlight.markRecalled(task);
  assertEquals(cancel(4), true);
  await sleep(inFlight.heldFor);
  inFlight.takeBacklog();
  assertEquals([inFlight.waiting, inFlight.hasBacklog], [0, true], "more may be cancelled");
  const again = await sendAgain(inFlight);
  assertEquals(again.map(({ tasks: [task] }) => task.slot), [3, 5], "in the order of their submission");
  assertEquals([3, 4, 5].map(stateOf), [TaskState.PREFETCHED, TaskState.CANCELLED, TaskState.PREFETCHED]);
});
