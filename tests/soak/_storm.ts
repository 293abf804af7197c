/**
 * Tasks that are stopped at random: by a timeout, by `abort()`, by a signal of their own or one that many share, by
 * `cancel()`, by the end of their pool, or by several of these; before they begin, while they run and when they have
 * just ended. Whatever comes first, each future ends once, with what is its own.
 */
import { assertEquals, assertStrictEquals, fail } from "@std/assert";
import {
  CancelledError,
  type Executor,
  ProcessPoolExecutor,
  type TaskOptions,
  TimeoutError,
  waitSync,
} from "@concurrent/futures";
import { poolOf } from "../../executors/_owner/executor_core.ts";
import { memoryOf } from "../../executors/_values/signals.ts";
import { BOUND, Ledger, type Random, sleep, until, within, workerThreads } from "../_helpers.ts";
import type { Watched } from "../behaviour/kind.ts";
import { Action } from "./_action.ts";
import { act, actLater, actOnItem, type Deed, type LaterDeed, type Proof, thrownBy } from "./_stopped_tasks.ts";
import { checkEnded, CountedController, describe, type Ending, ENDLESS, type Trial } from "./_storm_check.ts";

export type StormPool = Executor & Watched;

/** What a storm is made of. */
export interface Storm {
  /** Makes a pool, which takes part of the storm. */
  make(random: Random): StormPool;
  /** How many tasks a pool gets at the most. */
  perPool: number;
  /** What a task does, each by its weight. */
  deeds: readonly (readonly [weight: number, deed: Deed | LaterDeed])[];
  /** How long tasks compute that do so whatever their signal says, in milliseconds. */
  computesOn: number;
  /** Whether producers wait for room. */
  isBounded?: boolean;
  /** How long the program does nothing between two bursts, at the most, in milliseconds. */
  pause?: number;
}

/** How many tasks a burst has, at the most. */
const LARGEST_BURST = 80;

/** When stops come after their burst, at the latest, in milliseconds. */
const LAST_STOP_MS = 80;

const SYNC_DEEDS: ReadonlySet<string> = new Set<Deed>(
  ["returns", "throws", "computes", "fills", "heeds", "returns late", "follows", "computes on"],
);

/** Runs a storm of so many tasks, and returns what has come of them. */
export async function storm(storm: Storm, size: number, random: Random): Promise<string> {
  const totals = { done: 0, failed: 0, cancelled: 0, lost: 0, restarts: 0 };
  for (let n = 0; n < size;) {
    const count = Math.min(size - n, storm.perPool);
    const counted = await new Round(storm, n, count, random).run();
    for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += counted[key];
    n += count;
  }
  return Object.entries(totals).map(([key, count]) => `${count} ${key}`).join(", ");
}

/** What happens to one pool. */
class Round {
  readonly #storm: Storm;
  readonly #random: Random;
  readonly #pool: StormPool;
  readonly #end: number;
  readonly #ledger = new Ledger();
  readonly #trials: Trial[] = [];
  readonly #controllers: CountedController[] = [];
  /** Of the signals that tasks follow which are among their arguments. */
  readonly #followed: AbortController[] = [];
  /** What is done to tasks of bursts that nobody waits for. */
  readonly #actions: Action[] = [];
  /** What goes on while other bursts are submitted. */
  readonly #underWay: Promise<unknown>[] = [];
  #n: number;
  #ending: Ending = "awaits all";

  constructor(storm: Storm, from: number, count: number, random: Random) {
    this.#storm = storm;
    this.#random = random;
    this.#pool = storm.make(random);
    this.#n = from;
    this.#end = from + count;
  }

  async run(): Promise<ReturnType<StormPool["stats"]>> {
    const random = this.#random;
    const threads = workerThreads();
    const warnings: unknown[] = [];
    const { warn } = console;
    // Threads that are given up say so.
    console.warn = (text: unknown) => warnings.push(text);
    try {
      while (this.#n < this.#end) {
        await this.#burst(random.of(["await", "block", "go on"]));
        if (this.#storm.pause !== undefined) await sleep(random.below(this.#storm.pause));
      }
      await this.#endPool(this.#chooseEnding());
      const stats = this.#pool.stats();
      checkEnded({
        ending: this.#ending,
        trials: this.#trials,
        ledger: this.#ledger,
        controllers: this.#controllers,
        stats,
        mayComputeToEnd: this.#storm.computesOn < Infinity,
      });
      assertEquals(warnings.length, stats.lost, `each given up thread is told of: ${warnings}`);
      this.#endFollowing();
      await until(() => (workerThreads() ?? 0) <= (threads ?? 0), "the end of threads that were given up");
      return stats;
    } finally {
      console.warn = warn;
      this.#endFollowing();
    }
  }

  /**
   * Aborts the signals that tasks follow. A task that something else has stopped may go on in a thread that was given
   * up, and its pool tells it of nothing any more: so this does.
   */
  #endFollowing(): void {
    for (const controller of this.#followed) {
      controller.abort();
      memoryOf(controller.signal);
    }
  }

  #chooseEnding(): Ending {
    const endings: Ending[] = ["awaits all", "awaits all", "shuts down at once", "cancels"];
    if (this.#pool instanceof ProcessPoolExecutor) endings.push("kills");
    return this.#random.of(endings);
  }

  /** @param how Whether to await the tasks, to block until they are done, or to leave that to the end. */
  async #burst(how: "await" | "block" | "go on"): Promise<void> {
    const random = this.#random;
    const shared = this.#controller();
    const from = this.#actions.length;
    this.#begin([this.#abortLater(shared)]);
    // Where a pool is bounded a map submits while it is read.
    const mayMap = !this.#storm.isBounded || how === "await";
    const mapped = random.below(4) === 0 && mayMap ? this.#map() : undefined;
    const isRead = mapped !== undefined && how !== "block" ? mapped.read() : undefined;
    const trials: Trial[] = [];
    const plans = Array.from({ length: this.#left(LARGEST_BURST) }, () => this.#plan(shared));
    for (const { trial, argument, stops } of plans) {
      if (this.#storm.isBounded) await within(this.#pool.ready(), `ready() of ${this.#pool}`, 3 * BOUND);
      this.#submit(trial, argument);
      trials.push(trial);
      this.#begin(stops);
    }
    if (how === "block") {
      // Also those of other bursts: nothing but a timeout stops anything while this thread blocks.
      for (const action of random.shuffled(this.#actions)) action.run();
      const { notDone } = waitSync(trials.map(({ future }) => future!), { timeout: 3 * BOUND });
      if (notDone.size > 0) this.#failHung("blocked");
      mapped?.readSync();
      return;
    }
    const isOver = Promise.all([...this.#actions.slice(from).map(({ done }) => done), isRead]);
    this.#underWay.push(isOver);
    if (how === "await") {
      await this.#within(isOver);
      await this.#within(Promise.allSettled(trials.map(({ future }) => future)));
    }
  }

  /** How many tasks come next: at least one and so many at the most, if so many are left. */
  #left(most: number): number {
    const drawn = 1 + this.#random.below(most);
    return Math.max(0, Math.min(this.#end - this.#n, drawn));
  }

  /** From now on the time of these runs. */
  #begin(actions: readonly Action[]): void {
    for (const action of actions) action.begin();
    this.#actions.push(...actions);
  }

  #failHung(how: string): never {
    const left = this.#trials.filter(({ future }) => future !== undefined && !future.done());
    fail(
      `${left.length} tasks do not end, ${how}:\n${left.slice(0, 10).map(describe).join("\n")}\n` +
        poolOf(this.#pool).describe(),
    );
  }

  async #within<T>(promise: Promise<T>): Promise<T> {
    try {
      return await within(promise, "tasks", 3 * BOUND);
    } catch (error) {
      if ((error as Error).message.startsWith("tasks: not settled")) this.#failHung("awaited");
      throw error;
    }
  }

  #controller(): CountedController {
    const controller = new CountedController();
    this.#controllers.push(controller);
    return controller;
  }

  #abortLater(controller: AbortController): Action {
    const reason = this.#random.below(2) === 0 ? undefined : new Error("a reason");
    return new Action(this.#random.below(LAST_STOP_MS), () => controller.abort(reason));
  }

  /** Draws what a task does, and what stops it. */
  #plan(shared: AbortController): { trial: Trial; argument: AbortSignal | undefined; stops: Action[] } {
    const random = this.#random;
    const deed = this.#drawDeed();
    const options: TaskOptions = {};
    const trial: Trial = { n: this.#n++, deed, options, isCancelled: false, calls: 0 };
    const stops: Action[] = [];
    const draws = [0, 1, 2, 3].map(() => random.below(5) === 0);
    // What stops such a task for sure.
    if (ENDLESS.has(deed) && !draws.includes(true)) draws[random.below(4)] = true;
    const [hasTimeout, isAborted, hasSignal, isShared] = draws;
    if (hasTimeout) options.timeout = random.of([0, 1, 5, 20, 60]);
    if (random.below(4) > 0) options.grace = random.of([0, 5, 50, 1_000]);
    if (random.below(8) === 0) options.name = `task ${trial.n}`;
    if (isAborted) {
      const reason = new Error(`abort() of ${trial.n}`);
      const run = () => {
        // Once more, in vain, unless the first one has come too late.
        if (trial.future!.abort(reason)) trial.aborted = { reason };
        if (trial.future!.abort(new Error("again"))) fail(`${describe(trial)} was aborted twice`);
      };
      stops.push(new Action(random.below(LAST_STOP_MS), run));
    }
    if (hasSignal) {
      const own = this.#controller();
      options.signal = own.signal;
      stops.push(this.#abortLater(own));
    } else if (isShared) options.signal = shared.signal;
    if (random.below(10) === 0) {
      const run = () => {
        if (trial.future!.cancel()) trial.isCancelled = true;
      };
      stops.push(new Action(random.below(LAST_STOP_MS), run));
    }
    let argument: AbortSignal | undefined;
    if (deed === "follows") {
      const controller = new AbortController();
      argument = controller.signal;
      this.#followed.push(controller);
      stops.push(this.#abortLater(controller));
    }
    return { trial, argument, stops };
  }

  #drawDeed(): Deed | LaterDeed {
    const { deeds } = this.#storm;
    let draw = this.#random.below(deeds.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, deed] of deeds) if ((draw -= weight) < 0) return deed;
    throw new Error("Unreachable");
  }

  #submit(trial: Trial, argument: AbortSignal | undefined): void {
    const { n, deed, options } = trial;
    const ms = deed === "computes on" ? this.#storm.computesOn : this.#random.below(20);
    const to = Object.keys(options).length === 0 ? this.#pool : this.#pool.with(options);
    const { path } = this.#ledger;
    const future = trial.future = !SYNC_DEEDS.has(deed)
      ? to.submit(actLater, path, n, deed as LaterDeed, ms)
      : to.submit(act, path, n, deed as Deed, ms, ...argument === undefined ? [] as const : [argument] as const);
    future.addDoneCallback(() => trial.calls++);
    this.#trials.push(trial);
  }

  /** Maps over some items, and stops that at some time. */
  #map(): { read(): Promise<void>; readSync(): void } | undefined {
    const random = this.#random;
    const count = this.#left(LARGEST_BURST / 2);
    if (count === 0) return undefined;
    const controller = this.#controller();
    const options: TaskOptions = { grace: 1_000, signal: controller.signal };
    if (random.below(3) === 0) options.timeout = random.of([5, 60]);
    const trials = Array.from({ length: count }, (): Trial => {
      const deed = random.of<Deed>(["returns", "returns", "computes", "throws", "heeds"]);
      return { n: this.#n++, deed, options, isCancelled: false, calls: 1 };
    });
    const ordered = random.below(2) === 0;
    const chunksize = random.of([undefined, 1, 5, 20]);
    const results = this.#pool.with(options).map(
      actOnItem,
      trials.map(() => this.#ledger.path),
      trials.map(({ n }) => n),
      trials.map(({ deed }) => deed as Deed),
      trials.map(() => random.below(10)),
      { settled: true, ordered, chunksize },
    );
    this.#trials.push(...trials);
    const outcomes: PromiseSettledResult<Proof>[] = [];
    const assign = () => {
      assertEquals(outcomes.length, count, "an outcome for each item");
      if (ordered) { for (const [i, outcome] of outcomes.entries()) trials[i].outcome = outcome; }
      else this.#assignUnordered(trials, outcomes);
    };
    this.#begin([this.#abortLater(controller)]);
    return {
      async read() {
        for await (const outcome of results) outcomes.push(outcome);
        assign();
      },
      readSync() {
        for (const outcome of results) outcomes.push(outcome);
        assign();
      },
    };
  }

  /** Of items that come in any order those are known that say who they are; the others are as many. */
  #assignUnordered(trials: Trial[], outcomes: readonly PromiseSettledResult<Proof>[]): void {
    const others: PromiseRejectedResult[] = [];
    const byNumber = new Map(trials.map((trial) => [trial.n, trial]));
    const byMessage = new Map(trials.map((trial) => [thrownBy(trial.n).message, trial]));
    for (const outcome of outcomes) {
      const trial = outcome.status === "fulfilled"
        ? byNumber.get(outcome.value.n) ?? fail(`item ${outcome.value.n} is not of this map`)
        : byMessage.get(outcome.reason?.message);
      if (trial === undefined) others.push(outcome as PromiseRejectedResult);
      else {
        assertStrictEquals(trial.outcome, undefined, `item ${trial.n} comes twice`);
        trial.outcome = outcome;
      }
    }
    const begun = new Set(this.#ledger.lines().map((line) => Number(line.split(" ")[0])));
    const rank = ({ reason }: PromiseRejectedResult) =>
      reason instanceof TimeoutError ? 0 : reason instanceof CancelledError ? 2 : 1;
    others.sort((a, b) => rank(a) - rank(b));
    const left = trials.filter(({ outcome }) => outcome === undefined);
    left.sort((a, b) => Number(begun.has(b.n)) - Number(begun.has(a.n)));
    for (const [i, trial] of left.entries()) trial.outcome = others[i];
  }

  /** Waits until no task has a slot any more. */
  async #untilFree(): Promise<void> {
    const isFree = () => {
      // Of what was cancelled nobody is told: it is collected with the next results, or by this.
      this.#pool.stats();
      return /pending=0 prefetched=0 running=0 done=0 cancelled=0 stopping=0/.test(poolOf(this.#pool).describe());
    };
    try {
      await until(isFree, "free slots");
    } catch {
      fail(`slots are not free: ${poolOf(this.#pool).describe()}`);
    }
  }

  async #endPool(ending: Ending): Promise<void> {
    this.#ending = ending;
    const pool = this.#pool;
    const all = () =>
      Promise.all([
        ...this.#underWay,
        Promise.allSettled(this.#trials.map(({ future }) => future)),
      ]);
    switch (ending) {
      case "awaits all":
        await this.#within(all());
        await this.#untilFree();
        await within(pool.shutdown(), `shutdown() of ${pool}`, 3 * BOUND);
        break;
      case "shuts down at once":
        await this.#within(Promise.all([pool.shutdown(), all()]));
        break;
      case "cancels":
        await this.#within(Promise.all([pool.shutdown({ cancelFutures: true }), all()]));
        break;
      case "kills":
        (pool as ProcessPoolExecutor).killWorkers();
        await this.#within(Promise.all([pool.shutdown(), all()]));
    }
  }
}
