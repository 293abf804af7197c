/**
 * What the broker of a `ProcessPoolExecutor` runs: a Web Worker that takes tasks out of the pool's queue, gives them to
 * children, and publishes what these answer. INTERNALS.md beside this file tells the protocol, and its races.
 *
 * @module
 */

import { sharedNow } from "../../futures/builtins.ts";
import { EncodedSections, Encoding } from "../_values/encoded.ts";
import { AWAY_MS, Batching, type EncodedTask, STARTING_MS } from "./_batching.ts";
import type { Child, ChildOwner } from "./_child.ts";
import type { ChildExit } from "./_child_process.ts";
import { Children, type ChildrenOptions } from "./_children.ts";
import { Consumer } from "../_queue/consumer.ts";
import { ENCODED } from "../_queue/posted.ts";
import {
  type ConsumerMessage,
  type ConsumerStart,
  MAX_INLINE_BYTES,
  RecordType,
  Status,
  TaskFlag,
  type TaskLimits,
  TaskState,
  type TaskTimes,
} from "../_queue/protocol.ts";
import type { DeathReport } from "./_death_error.ts";
import type { Definition } from "../_functions/definition.ts";
import { Output } from "./_output.ts";
import { type ResultPayload, VERSION } from "./messages.ts";
import { after } from "./_timers.ts";

/** The message that the broker begins with. */
export interface BrokerStart extends ConsumerStart, ChildrenOptions {}

/** How often the end of the program hears whether output is still being written, in milliseconds. */
const REPORT_MS = 100;

/** What is told of a task that was stopped before it had begun; its owner knows better why. */
const ABORTED: DeathReport = { problem: "The task was aborted before it began" };

class Broker implements ChildOwner {
  readonly #start: BrokerStart;
  readonly #consumer: Consumer<EncodedSections>;
  readonly #outputs = { stdout: new Output(Deno.stdout), stderr: new Output(Deno.stderr) };
  readonly #batching = new Batching();
  readonly #children: Children;
  /** Tasks from the queue, and tasks that were recalled. They wait for a child, and can still be cancelled. */
  readonly #backlog: EncodedTask[] = [];
  /** A task that was taken from the queue, and whose arguments or function are on their way. */
  #arriving: Promise<void> | undefined;
  /** Tasks that did not fail with the child that had them, because they had not begun. */
  readonly #spared = new WeakSet<EncodedTask>();
  /** Whether no more tasks are taken: the pool is broken, or was told to end. */
  #isEnding = false;
  /** Wakes up the loop where it waits for a child. */
  #onChange = () => {};

  /** @param ahead The process of the first child, where that has been started. */
  constructor(start: BrokerStart, ahead?: Deno.ChildProcess) {
    this.#start = start;
    this.#consumer = new Consumer(start, ENCODED);
    this.#children = new Children(start, this.#outputs, this.#batching, this);
    if (ahead !== undefined) this.#startChild(ahead);
  }

  // Taking tasks, and giving them to children

  async serve(): Promise<void> {
    await this.#consumer.begin();
    while (!this.#isEnding) {
      if (this.#arriving !== undefined) await this.#arriving;
      else if (!this.#children.hasIdle && !this.#children.mayStart()) {
        await new Promise<void>((resolve) => this.#onChange = resolve);
      } else if (this.#take()) this.#feed();
      else if (this.#arriving === undefined) await this.#consumer.waitForWork(this.#children.areIdle);
    }
  }

  /** Takes the next task out of the queue into the backlog; `false` when there is none, or it is on its way. */
  #take(): boolean {
    if (this.#arriving !== undefined) return false;
    const task = this.#consumer.take();
    if (task === undefined) return false;
    if (!(task instanceof Promise) && this.#consumer.knownDefinition(task.fn) !== undefined) {
      this.#backlog.push(task);
      return true;
    }
    this.#arriving = (async () => {
      const arrived = await task;
      await this.#consumer.definition(arrived.fn);
      this.#arriving = undefined;
      this.#backlog.push(arrived);
      this.#feed();
    })();
    return false;
  }

  /** Gives the backlog to children that are idle, and starts others for what is left. */
  #feed(): void {
    const children = this.#children;
    while (this.#backlog.length > 0) {
      const child = children.takeIdle(this.#backlog.length);
      if (child === undefined) break;
      if (!this.#canRun(child, this.#backlog[0])) children.end(child);
      else if (children.attend(child)) after(AWAY_MS, () => this.#feed());
      else this.#give(child);
    }
    if (this.#backlog.length > 0) {
      for (let { coming } = children; coming < this.#backlog.length && children.mayStart(); coming++) {
        this.#startChild();
      }
    }
    this.#tellCensus();
  }

  /** Tells the owner how many children there are, where that may have changed. */
  #tellCensus(): void {
    const census = this.#children.takeCensus();
    if (census !== undefined) this.#consumer.setChildren(census.children, census.starting, census.restarts);
  }

  #canRun(child: Child, { fn }: EncodedTask): boolean {
    return this.#children.canImport(child, this.definition(fn));
  }

  /**
   * Gives a child that is idle what comes next: one task, or several quick ones where all other children have enough to
   * do.
   */
  #give(child: Child): void {
    const areAllBusy = !this.#children.hasIdle && !this.#children.mayStart();
    const tasks: EncodedTask[] = [];
    for (let most = 1; tasks.length < most;) {
      if (this.#backlog.length === 0 && (tasks.length === 0 || !this.#take())) break;
      const task = this.#backlog[0];
      const atOnce = Math.min(areAllBusy ? this.#batching.sizeFor(task) : 1, child.room);
      if (tasks.length > 0 && (tasks.length >= atOnce || !this.#canRun(child, task))) break;
      this.#backlog.shift();
      if (!this.#consumer.start(task, tasks.length === 0 ? TaskState.RUNNING : TaskState.PREFETCHED)) continue;
      most = tasks.length === 0 ? atOnce : Math.min(most, atOnce);
      tasks.push(task);
    }
    if (tasks.length === 0) this.#children.addIdle(child);
    else this.#children.run(child, tasks);
  }

  #startChild(ahead?: Deno.ChildProcess): void {
    const onRetry = () => {
      this.#feed();
      this.#onChange();
    };
    const problem = this.#children.start(this.#wantedDefinitions(), onRetry, ahead);
    if (problem !== undefined) this.#onFailedStart({ problem });
    else after(STARTING_MS, () => this.#feed());
  }

  /** The functions that a new child shall be able to import, the most urgent ones first. */
  #wantedDefinitions(): Definition[] {
    const { initializer } = this.#start;
    // That of the task which waits for it, and then those of the next ones: they mostly come in this order.
    const definitions = this.#consumer.definitionsFrom(this.#backlog[0]?.fn ?? 0);
    if (initializer !== undefined) definitions.unshift(this.definition(initializer.fn));
    return definitions.filter((definition) => definition !== undefined);
  }

  // What children say

  definition(fn: number): Definition {
    return this.#consumer.knownDefinition(fn)!;
  }

  boundTo(fn: number): { places: number[]; payload: EncodedSections } | undefined {
    return this.#consumer.boundTo(fn);
  }

  limitsOf({ slot }: EncodedTask): TaskLimits {
    return this.#consumer.limitsOf(slot);
  }

  onReady(): void {
    this.#children.resetFailedStarts();
  }

  onWrongVersion(version: number): void {
    this.#break({
      problem: `Cannot use a process that speaks version ${version} of the protocol: this program speaks ${VERSION}`,
    });
  }

  onInitializerFailed(error: EncodedSections): void {
    this.#breakBy(RecordType.INITIALIZER_FAILED, error);
  }

  onProgress(task: EncodedTask, payload: EncodedSections): void {
    this.#consumer.progress(task, payload);
  }

  onResults(
    child: Child,
    done: readonly EncodedTask[],
    results: readonly ResultPayload[],
    running: EncodedTask | undefined,
  ): void {
    for (let i = 0; i < results.length; i++) {
      const { type, steps, payload } = results[i];
      const times = (done[i].flags & TaskFlag.MEASURED) === 0 ? undefined : timesOf(child, results[i]);
      this.#consumer.reply(done[i], type, payload, steps, false, Status.ACTIVE, times);
    }
    this.#consumer.ring();
    if (running !== undefined) this.#consumer.setState(running, TaskState.RUNNING);
  }

  onRecalled(child: Child, tasks: readonly EncodedTask[]): void {
    this.#putBack(tasks);
    this.#feed();
    if (child.state === "AWAY") after(AWAY_MS, () => this.#feed());
  }

  /** What a child has not begun waits for the next one again, before all that is queued. */
  #putBack(tasks: readonly EncodedTask[]): void {
    const left = tasks.filter((task) => this.#consumer.setState(task, TaskState.PENDING));
    this.#backlog.unshift(...left);
    if (left.length === tasks.length) return;
    for (const task of tasks) {
      // It is to end, and has not begun.
      if (!left.includes(task)) this.#consumer.reply(task, RecordType.LOST, jsonPayload(ABORTED));
    }
  }

  onIdle(child: Child): void {
    if (child.tasksLeft > 0) this.#children.addIdle(child);
    else this.#children.end(child);
    this.#feed();
    this.#onChange();
  }

  onIdleEnd(): void {
    this.#tellCensus();
  }

  onExit(child: Child, exit: ChildExit): void {
    const isExpected = child.state === "ENDING";
    // For a task that was to end: nothing else suffers from that.
    const isAborted = child.isAborted && !isExpected;
    const isStarting = child.state === "STARTING";
    // A Ctrl-C goes to all processes of the terminal, also to one that does not listen to it yet: it has run nothing.
    const isInterrupted = isStarting && exit.signal === "SIGINT";
    const report = child.reportOf(exit, isStarting ? this.#children.failedStarts + 1 : 0);
    this.#children.remove(child);
    if (!isExpected) this.#children.noteDeath();
    this.#tellCensus();
    if (!isExpected && !isInterrupted && !isAborted && !this.#isEnding && !this.#start.replaces) {
      this.#break(report);
      return;
    }
    // Those that it had not begun. They fail with it where the pool has ended it, or nobody knows which they are.
    if (!isExpected && !this.#isEnding && !exit.isUnheard && (this.#start.replaces || child.hasAnsweredRecall)) {
      this.#putBack(child.takeFrom(this.#mayHaveKilled(child) ? 1 : 0));
    }
    const times = { worker: child.number };
    for (const [i, task] of child.tasks.entries()) {
      const hasTimedOut = i === 0 && isAborted && child.hasTimedOut;
      const [type, what] = hasTimedOut ? [RecordType.TIMED_OUT, child.name] : [RecordType.LOST, report];
      this.#consumer.reply(task, type, jsonPayload(what), 0, true, Status.ACTIVE, times);
    }
    if (isStarting && !isInterrupted && !this.#isEnding) this.#onFailedStart(report);
    if (this.#isEnding) this.#failBacklog(report);
    else this.#feed();
    this.#onChange();
  }

  /**
   * Whether the first task of a dead child may have to do with its death. One that had not begun has not: the child was
   * dead already, or about to be. But a child may die of a large task while it receives that, and one that has been
   * with a dying child before is suspect.
   */
  #mayHaveKilled({ tasks: [task], hasBegun, isAborted, functions }: Child): boolean {
    if (task === undefined || isAborted || hasBegun || this.#spared.has(task)) return true;
    if (task.payload.room + functions.boundBytes > MAX_INLINE_BYTES) return true;
    this.#spared.add(task);
    return false;
  }

  /** A child could not be started, or died before it was ready: another one may be, but not for ever. */
  #onFailedStart(report: DeathReport): void {
    if (!this.#children.countFailedStart()) this.#break(report);
  }

  // What the owner says

  receive(message: ConsumerMessage): void {
    switch (message.type) {
      case "stop":
        void this.#stop(message.signal, message.progress);
        break;
      case "recall":
        this.#children.recallPrefetched();
        break;
      case "abort":
        this.#abort(message.slot, message.grace);
        break;
      case "kill":
        this.#kill(message.signal);
        break;
      case "unbind":
        this.#children.unbind(message.fn);
        this.#consumer.receive(message);
        break;
      default:
        this.#consumer.receive(message);
    }
  }

  /** Has a task end that was started: in its process, or, where that has not begun it, here. */
  #abort(slot: number, grace: number): void {
    this.#children.abort(slot, grace);
    const recalled = this.#backlog.filter((task) => task.slot === slot);
    this.#failBacklog(ABORTED, recalled);
    this.#consumer.acknowledgeAbort(slot);
  }

  #kill(signal: Deno.Signal): void {
    this.#isEnding = true;
    this.#children.kill(signal);
    if (this.#children.isEmpty) this.#failBacklog({ problem: "The pool ended before the task began" });
    this.#onChange();
  }

  /** No child comes any more for what waits for one. */
  #failBacklog(report: DeathReport, tasks: readonly EncodedTask[] = [...this.#backlog]): void {
    for (const task of tasks) {
      this.#backlog.splice(this.#backlog.indexOf(task), 1);
      if (this.#consumer.start(task)) this.#consumer.reply(task, RecordType.LOST, jsonPayload(report));
    }
  }

  // The end

  /** A death, or a child that cannot be started, breaks the pool. */
  #break(report: DeathReport): void {
    this.#breakBy(RecordType.BROKEN, jsonPayload(report));
  }

  /**
   * Reports why the pool is broken, and ends its children at once: the owner may compute for minutes before it reads
   * that, and nobody waits for what they do. That the broker is gone is said when the owner has ordered its end: else
   * that could be read before the report, which travels by message where it is long.
   */
  #breakBy(type: number, reason: EncodedSections): void {
    this.#consumer.report(type, reason);
    this.#isEnding = true;
    this.#children.kill("SIGTERM");
    this.#onChange();
  }

  /** Ends all children, and says when they have gone and what they printed has been written. */
  async #stop(signal?: Deno.Signal, progress?: Int32Array): Promise<void> {
    this.#isEnding = true;
    this.#onChange();
    if (signal === undefined) this.#children.endAll();
    else this.#children.kill(signal);
    const { stdout, stderr } = this.#outputs;
    const report = progress && setInterval(() => {
      Atomics.store(progress, 1, stdout.pending + stderr.pending > 0 ? 1 : 0);
    }, REPORT_MS);
    await this.#children.leave();
    clearInterval(report);
    if (progress !== undefined) {
      Atomics.store(progress, 0, 1);
      Atomics.notify(progress, 0);
    }
    this.#consumer.report(RecordType.GONE);
  }
}

/** How far the clock of a child may be from that of this process, in milliseconds. */
const MAX_SKEW_MS = 1_000;

/** When a child says that a task ran, where that can be: a task may have changed what the child says. */
function timesOf(child: Child, { began, ms }: ResultPayload): Partial<TaskTimes> {
  const worker = child.number;
  const now = sharedNow();
  if (typeof began !== "number" || typeof ms !== "number" || !(ms >= 0)) return { worker };
  if (!(began >= child.startedAt - MAX_SKEW_MS && began + ms <= now + MAX_SKEW_MS)) return { worker };
  return { began, ended: began + ms, worker };
}

const encoder = new TextEncoder();

function jsonPayload(value: unknown): EncodedSections {
  return new EncodedSections(Encoding.JSON, [encoder.encode(JSON.stringify(value))]);
}

/** Begins to serve; returns what takes in the messages of the owner. */
export function beginBroker(start: BrokerStart, ahead?: Deno.ChildProcess): (message: ConsumerMessage) => void {
  const broker = new Broker(start, ahead);
  void broker.serve();
  return (message) => broker.receive(message);
}
