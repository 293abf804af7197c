/** The order in which a node begins jobs, whatever order the engine hands them over in. */
import { assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { test, within } from "../_helpers.ts";
import { JobOrder, type Ordered } from "../../executors/cluster/_order.ts";

function job(number: number, timestamp = 1): Ordered {
  return { id: `executor-${number}`, timestamp };
}

/** A node that records what has begun. */
function observe(): { order: JobOrder; begun: string[]; handOver(job: Ordered): Promise<void> } {
  const order = new JobOrder();
  const begun: string[] = [];
  const handOver = async (job: Ordered) => {
    await order.turn(job);
    begun.push(job.id!.replace("executor-", ""));
  };
  return { order, begun, handOver };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => void setImmediate(resolve));
}

test("cluster: jobs begin in their order, also when the first one is handed over after the others", async () => {
  const { order, begun, handOver } = observe();
  const [late, ...jobs] = [job(9), job(10), job(11.5), job(1, 2), job(2, 2)];
  const handed: Promise<void>[] = [];
  for (const job of jobs.toReversed()) {
    order.expect(job);
    handed.push(handOver(job));
  }
  order.expect(late);
  await turns(3);
  assertEquals(begun, []);
  handed.push(handOver(late));
  await within(Promise.all(handed));
  assertEquals(begun, ["9", "10", "11.5", "1", "2"]);
  await within(Promise.all([3, 2].map((number) => handOver(job(number)))));
  assertEquals(begun.slice(5), ["2", "3"]);
});

test("cluster: a job waits for an earlier one, but not for ever", async () => {
  const { order, begun, handOver } = observe();
  order.expect(job(1));
  await within(Promise.all([3, 2].map((number) => handOver(job(number)))));
  assertEquals(begun, ["2", "3"]);
  // The one that nobody waits for any more begins as well, and holds up nothing.
  await within(handOver(job(1)));
  await within(handOver(job(4)));
  assertEquals(begun, ["2", "3", "1", "4"]);
});
