/**
 * The jobs that a node has: it tells their executors which tasks have begun, and gives back what has not: to the
 * executor that recalls it, or to the queue, where a node that is idle finds it.
 *
 * @module
 */

import type { Job } from "bullmq";
import type { Future } from "../../futures/future.ts";
import type { JobData, JobResult, Outcome } from "./_jobs.ts";
import type { Link } from "./_link.ts";
import type { ControlMessage } from "./_messages.ts";
import type { NodePool } from "./_node_pool.ts";
import type { Returned } from "./_run_job.ts";

/**
 * How often a node looks what has begun, after how long it gives back what has not, and how often it looks whether
 * there is anybody to take that, in milliseconds.
 */
export const LOOK_MS = 5;
const REQUEUE_MS = 20;
const COUNT_MS = 100;

/**
 * For how many milliseconds a task runs until those behind it in its job go to their executor. That is longer, because
 * it sends them to the end of the queue.
 */
const STUCK_MS = 200;

/**
 * After how many milliseconds a node says again that a task has begun, since what is said may be lost; later, each time
 * that the task has taken twice as long.
 */
const REPORT_AGAIN_MS = 1_000;

export type ClusterJob = Job<JobData, JobResult>;

/** A job that this node has. */
export interface HeldJob {
  readonly job: ClusterJob;
  readonly since: number;
  /** How many times a node has begun it, with this time. */
  readonly attempt: number;
  /** The tasks whose functions this node has, by their place in the job. */
  readonly tasks: Map<number, HeldTask>;
  /** The outcomes, by their places, that nobody has been told. */
  untold: Map<number, Outcome>;
  /**
   * What becomes of it:
   *
   * - `"waiting"`: none of its tasks has been seen to run.
   * - `"begun"`, from `"waiting"`: one has, so the job stays here to its end.
   * - `"leaving"`, from `"waiting"`: all its tasks were cancelled here, and it goes back to the queue; or is
   *   `"waiting"` again, because its executor has recalled it first.
   * - `"left"`, from `"leaving"`: the server is told, and it is too late for anything else.
   */
  state: "waiting" | "begun" | "leaving" | "left";
  /** The stack of the first of its errors. */
  stack?: string;
}

/** A task of it. */
export interface HeldTask {
  readonly place: number;
  readonly future: Future<Returned>;
  /** When its executor is told (again) that it has begun, if it has. */
  reportAt: number;
  /** When it was seen to run at first. */
  seenAt?: number;
  /** Why it comes to no end of its own. */
  endedBy?: "abort" | "recall";
}

/** What an executor says of a task. */
type TaskControl = Exclude<ControlMessage, { what: "signal" }>;

/** See above. */
export class HeldJobs {
  readonly #link: Link;
  readonly #pool: NodePool;
  readonly #workers: number;
  /** Is told before jobs go back to the queue. */
  readonly #onRequeue: () => void;
  readonly #jobs = new Map<string, HeldJob>();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** When the nodes of the queue are counted next. */
  #countAt = 0;
  #onEmpty = () => {};

  constructor(link: Link, pool: NodePool, workers: number, onRequeue: () => void) {
    this.#link = link;
    this.#pool = pool;
    this.#workers = workers;
    this.#onRequeue = onRequeue;
  }

  add(job: ClusterJob): HeldJob {
    const attempt = job.attemptsMade + job.stalledCounter + 1;
    const since = performance.now();
    const held: HeldJob = { job, since, attempt, tasks: new Map(), untold: new Map(), state: "waiting" };
    this.#jobs.set(job.id!, held);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    return held;
  }

  remove({ job }: HeldJob): void {
    this.#jobs.delete(job.id!);
    if (this.#jobs.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#onEmpty();
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Whether there is a job that has not begun. */
  hasWaiting(): boolean {
    return [...this.#jobs.values()].some(({ state }) => state !== "begun");
  }

  /** Resolves when there is no job. */
  async empty(): Promise<void> {
    if (this.#jobs.size > 0) await new Promise<void>((resolve) => this.#onEmpty = resolve);
  }

  /** Does what an executor wants with a task. */
  hear(control: TaskControl): void {
    const held = this.#jobs.get(control.job);
    const task = held?.tasks.get(control.task);
    if (held === undefined || task === undefined) return;
    // One that is on its way back to the queue has not begun, and is not to.
    if (control.what === "recall" || held.state === "leaving") this.#recall(held, task);
    else if (held.state !== "left") {
      task.endedBy ??= "abort";
      this.#pool.abort(task.future, control.grace);
    }
  }

  /** Gives a task back to its executor if it has not begun. */
  #recall(held: HeldJob, task: HeldTask): void {
    // The executor will look into the queue again.
    if (held.state === "left") return;
    if (held.state === "leaving") {
      // In the queue, a node could begin it while its executor has it back.
      held.state = "waiting";
      for (const other of held.tasks.values()) void this.#link.send(held.job, { what: "recalled", task: other.place });
    } else if (held.attempt === 1 && task.future.cancel()) {
      task.endedBy = "recall";
      void this.#link.send(held.job, { what: "recalled", task: task.place });
    } else {
      // A node that was lost may have begun it, which nobody knows: then it counts as begun.
      this.#reportBegun(held, task);
    }
  }

  #reportBegun({ job, since }: HeldJob, task: HeldTask): void {
    const now = performance.now();
    task.reportAt = now + Math.max(REPORT_AGAIN_MS, now - since);
    void this.#link.send(job, { what: "begun", task: task.place });
  }

  /**
   * Reports which tasks run, and what became of others whose job goes on because of them. What waits behind tasks that
   * take their time goes back, if another node may be idle.
   */
  #look(): void {
    const now = performance.now();
    const waiting: HeldJob[] = [];
    /** Those with a task that takes its time, and others behind it. */
    const stuck: HeldJob[] = [];
    let running = 0;
    for (const held of this.#jobs.values()) {
      let waits = 0;
      let longest = 0;
      for (const task of held.tasks.values()) {
        if (task.future.running()) {
          running++;
          held.state = "begun";
          if (now >= task.reportAt) this.#reportBegun(held, task);
          longest = Math.max(longest, now - (task.seenAt ??= now));
        } else if (!task.future.done()) waits++;
      }
      if (waits === held.tasks.size) waiting.push(held);
      // A node that was lost may have begun those that wait.
      else if (waits > 0 && longest >= STUCK_MS && held.attempt === 1) stuck.push(held);
      if (longest >= LOOK_MS && held.untold.size > 0) this.#tellOutcomes(held);
    }
    if (running < this.#workers || now < this.#countAt) return;
    const isLate = waiting.length > 0 && now - waiting[0].since >= REQUEUE_MS;
    if (isLate || stuck.length > 0) void this.#requeueAll([...stuck, ...waiting]);
  }

  /** Tells the executor of a job what became of those of its tasks that have ended. */
  #tellOutcomes(held: HeldJob): void {
    void this.#link.sendOutcomes(held.job, held.untold);
    held.untold = new Map();
  }

  /** Gives back what has not begun of jobs if there is another node: alone, one worker runs them in their order. */
  async #requeueAll(waiting: HeldJob[]): Promise<void> {
    this.#countAt = Infinity;
    const isAlone = await this.#link.countNodes() === 1;
    this.#countAt = performance.now() + (isAlone ? COUNT_MS : 0);
    if (isAlone) return;
    this.#onRequeue();
    // The last one that goes is in front of the queue then.
    for (const held of waiting.reverse()) this.#requeue(held);
  }

  #requeue(held: HeldJob): void {
    const cancelled = [...held.tasks.values()].filter(({ future }) => !future.done() && future.cancel());
    for (const task of cancelled) task.endedBy = "recall";
    if (cancelled.length === held.tasks.size) held.state = "leaving";
    // Some have begun: the job stays, and the others go to their executor.
    else for (const task of cancelled) void this.#link.send(held.job, { what: "recalled", task: task.place });
  }
}
