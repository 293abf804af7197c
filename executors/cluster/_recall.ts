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

/** How soon a node is told again at the latest that a task is to end, in milliseconds. */
const MAX_PAUSE_MS = 1_000;

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
    if (task.job !== job || hasBegun(task)) return;
    await this.#takeOut([job]);
    if (task.job !== job || hasBegun(task)) return;
    const control: ControlMessage = { what: "recall", job: job.id, task: job.tasks.indexOf(task) };
    const ask = () => {
      this.#tellNodes(control);
      // It may have gone back to the queue since.
      void this.#takeOut([job]);
    };
    if (await this.#waitFor(task, "begun", ask) === undefined && task.job === job) this.#inFlight.markBegun(task);
  }

  /**
   * Takes those jobs out of the queue that no node has. Their tasks are pending again. Where a node has begun a job
   * before, its task has begun, also if nobody has said so: nodes say nothing of tasks that fail at once.
   *
   * @param evenBegun Also those that a node has begun before.
   */
  async #takeOut(jobs: readonly Job[], evenBegun = false): Promise<void> {
    try {
      const states = await takeJobs(this.#client, keyStart(this.#address), jobs.map(({ id }) => id), evenBegun);
      for (const [i, job] of jobs.entries()) {
        if (states[i] === "away" || this.#inFlight.jobs.get(job.id) !== job) continue;
        const tasks = job.tasks.filter((task) => task.job === job);
        if (states[i] === "taken") {
          for (const task of tasks) this.#inFlight.markRecalled(task);
          this.#inFlight.end(job);
          continue;
        }
        // Of several tasks, some may not have begun.
        if (job.tasks.length === 1) { for (const task of tasks) this.#inFlight.markBegun(task); }
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

  /**
   * Has a task end that the owner has marked so: takes its job out of the queue, also where it waits to be tried again;
   * or has the node end it that has it. What is said to nodes may be lost, and the job may be on its way to one. So it
   * is said until the task has ended.
   */
  async abort(slot: number, grace: number): Promise<void> {
    const task = this.#inFlight.ofSlot(slot);
    if (task === undefined) return;
    for (let pause = ASK_AGAIN_MS; task.state !== "done"; pause = Math.min(MAX_PAUSE_MS, pause * 2)) {
      // It is found to be stopped when it is to be sent again.
      if (task.state === "recalled") return;
      const { job } = task;
      if (job === undefined) this.#inFlight.markRecalled(task);
      else if (job.isAdded && !this.#heartbeat.isAway) {
        // Others in it that have begun must not begin again elsewhere because of this one.
        const isAlone = job.tasks.every((other) => other === task || other.job !== job);
        await this.#takeOut([job], isAlone);
        if (task.job === job) {
          this.#tellNodes({ what: "abort", job: job.id, task: job.tasks.indexOf(task), grace });
        }
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  #tellNodes(control: ControlMessage): void {
    const { prefix, queue } = this.#address;
    this.#client.publish(controlChannel(prefix, queue), JSON.stringify(control)).catch(() => {});
  }
}

/** As it is now: while the broker waits, others change it. */
function hasBegun({ state }: InFlightTask): boolean {
  return state === "begun";
}
