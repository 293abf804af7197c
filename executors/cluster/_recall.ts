/**
 * Recalls tasks that are to be cancelled, from the queue or from the node that has them, and has tasks aborted there.
 *
 * @module
 */

import type { Redis } from "ioredis";
import { type Address, keyStart } from "./_address.ts";
import { MAX_BATCH, takeJobs } from "./_connection.ts";
import type { Heartbeat } from "./_heartbeat.ts";
import type { InFlight, InFlightTask, Job, TaskUpdate } from "./_in_flight.ts";
import { controlChannel, type ControlMessage } from "./_messages.ts";

/**
 * How long the server, or a node that has a job, may take to answer, and how soon it is asked again at first, in
 * milliseconds. It is asked again because the server may have given a job to a node that has not received it yet.
 */
const ANSWER_MS = 2_000;
const ASK_AGAIN_MS = 10;

/** The third task that is to be cancelled, each within `BURST_MS` of the one before, recalls all tasks. */
const BURST = 3;
const BURST_MS = 100;

/** See above. */
export class Recall {
  readonly #inFlight: InFlight;
  readonly #client: Redis;
  readonly #address: Address;
  readonly #heartbeat: Heartbeat;
  /** How many tasks were to be cancelled in a row, and when the last one was. */
  #burst = 0;
  #burstAt = 0;
  #isRecallingAll = false;

  constructor(inFlight: InFlight, client: Redis, address: Address, heartbeat: Heartbeat) {
    this.#inFlight = inFlight;
    this.#client = client;
    this.#address = address;
    this.#heartbeat = heartbeat;
  }

  /** Takes a task back because it is to be cancelled; if it is one of many in a row, all others as well. */
  async recall(slot: number): Promise<void> {
    const task = this.#inFlight.ofSlot(slot);
    if (task === undefined) return;
    const now = performance.now();
    if (now - this.#burstAt > BURST_MS) this.#burst = 0;
    this.#burstAt = now;
    this.#burst++;
    await this.#recallTask(task);
    if (this.#burst < BURST || this.#isRecallingAll) return;
    this.#isRecallingAll = true;
    await this.#recallAll();
    this.#isRecallingAll = false;
  }

  /** Takes back what no node has: to ask for tasks one after the other takes a millisecond or more for each. */
  async #recallAll(): Promise<void> {
    this.#inFlight.recallWaiting();
    // The server looks for each from the end at which the last one lies.
    const jobs = [...this.#inFlight.jobs.values()].filter(({ isAdded }) => isAdded).reverse();
    while (jobs.length > 0) await this.#takeOut(jobs.splice(0, MAX_BATCH));
  }

  /** Takes a task back if it has not begun. */
  async #recallTask(task: InFlightTask): Promise<void> {
    if (task.onUpdate !== undefined) return;
    const { job } = task;
    if (job === undefined) {
      // It waits for one.
      this.#inFlight.markRecalled(task);
      return;
    }
    if (this.#heartbeat.isAway) {
      // Nobody can tell, and it would take long to find that out for each.
      this.#inFlight.markBegun(task);
      return;
    }
    if (!job.isAdded) await this.#waitFor(task, "added");
    if (task.job !== job || task.state === "begun") return;
    await this.#takeOut([job]);
    if (task.job !== job) return;
    const control: ControlMessage = { what: "recall", job: job.id, task: job.tasks.indexOf(task) };
    if (await this.#waitFor(task, "begun", () => this.#tellNodes(control)) !== undefined) return;
    // It may have been on its way back to the queue.
    await this.#takeOut([job]);
    if (task.job === job) this.#inFlight.markBegun(task);
  }

  /** Takes those jobs out of the queue that no node has. Their tasks are pending again. */
  async #takeOut(jobs: readonly Job[]): Promise<void> {
    try {
      const areTaken = await takeJobs(this.#client, keyStart(this.#address), jobs.map(({ id }) => id));
      for (const [i, job] of jobs.entries()) {
        if (!areTaken[i] || this.#inFlight.jobs.get(job.id) !== job) continue;
        for (const task of job.tasks) if (task.job === job) this.#inFlight.markRecalled(task);
        this.#inFlight.end(job);
      }
    } catch {
      // Unknown: the sweep will tell.
    }
  }

  /**
   * Waits for an update of a task, or until it leaves its job, and asks for that again and again, after pauses that
   * grow.
   *
   * @returns `undefined` where nothing is heard in time.
   */
  async #waitFor(task: InFlightTask, wanted: TaskUpdate, ask = () => {}): Promise<TaskUpdate | undefined> {
    const { promise, resolve } = Promise.withResolvers<TaskUpdate | undefined>();
    task.onUpdate = (update) => (update === "left" || update === wanted) && resolve(update);
    const end = performance.now() + ANSWER_MS;
    let pause = ASK_AGAIN_MS;
    let timer: ReturnType<typeof setTimeout>;
    const askAgain = () => {
      const left = end - performance.now();
      if (left <= 0) resolve(undefined);
      else {
        ask();
        timer = setTimeout(askAgain, Math.min(left, pause));
        pause *= 2;
      }
    };
    askAgain();
    const update = await promise;
    clearTimeout(timer!);
    task.onUpdate = undefined;
    return update;
  }

  /** Orders the end of the process that runs a task. */
  abort(slot: number): void {
    const task = this.#inFlight.ofSlot(slot);
    if (task?.job !== undefined) {
      this.#tellNodes({ what: "abort", job: task.job.id, task: task.job.tasks.indexOf(task) });
    }
  }

  #tellNodes(control: ControlMessage): void {
    const { prefix, queue } = this.#address;
    this.#client.publish(controlChannel(prefix, queue), JSON.stringify(control)).catch(() => {});
  }
}
