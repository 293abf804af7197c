/**
 * The children of a broker: which of them are idle, whether another one may be started, and who looks after them.
 *
 * @module
 */

import { whenPassed } from "../../futures/deadline.ts";
import { type Batching, type EncodedTask, LOOK_MS, RECALL_LOOK_MS } from "./_batching.ts";
import { Child, type ChildOptions, type ChildOwner } from "./_child.ts";
import { type Definition, modulesOf } from "../_functions/definition.ts";
import { Keeper } from "./_keeper.ts";
import { canImportAll, fitting, isFree } from "./_launch.ts";
import type { Output } from "./_output.ts";
import { after, atMost, every } from "./_timers.ts";

export interface ChildrenOptions extends ChildOptions {
  /** What children are called in messages. */
  name: string;
  maxWorkers: number;
  /** How long a child may be idle before it ends, in milliseconds; `undefined`: it stays. */
  idleTimeout: number | undefined;
}

/** How many children there are that may get tasks, how many of them start, and how many took another one's place. */
export interface Census {
  readonly children: number;
  readonly starting: number;
  readonly restarts: number;
}

/** How many children in a row may die while they start, before the pool gives up. */
const MAX_FAILED_STARTS = 3;

/** The pause after a child that could not be started, in milliseconds. It grows with each failure in a row. */
const RETRY_MS = 100;

/** How long children may take to end by themselves, in milliseconds. */
const END_MS = 2_000;

/** All children of a broker. */
export class Children {
  readonly #options: ChildrenOptions;
  readonly #outputs: { stdout: Output; stderr: Output };
  readonly #batching: Batching;
  readonly #owner: ChildOwner;
  /** Whether children may import any module by their permissions. */
  readonly #canImportAll: boolean;
  /** Looks after those that nobody attends to. */
  readonly #keeper: Keeper | undefined;
  readonly #all = new Set<Child>();
  /** Those that are idle, the last one on top: its caches are the warmest. So the first one is idle for the longest. */
  readonly #idle: Child[] = [];
  /** Since when each of them is. */
  readonly #idleSince = new WeakMap<Child, number>();
  /** Runs until the first one may have been idle for too long. */
  #stopIdleTimer: (() => void) | undefined;
  #started = 0;
  #failedStarts = 0;
  /** Calls off what runs while no child is started, because one could not be a moment ago. */
  #retry: (() => void) | undefined;
  /** Whether a timer runs, because there may be a child to look at. */
  #isRecalling = false;
  #isLooking = false;
  /** Calls off what runs while children that were told to end may do so by themselves. */
  #lastSignal: (() => void) | undefined;
  /** How many have ended whose places others shall take, and how many have taken one. */
  #vacancies = 0;
  #restarts = 0;
  /** Whether one has begun, has become ready, or is to end, since the census was taken. */
  #hasChanged = false;
  /** Whether no more are started. */
  #isClosed = false;
  #emptied: PromiseWithResolvers<void> | undefined;

  constructor(
    options: ChildrenOptions,
    outputs: { stdout: Output; stderr: Output },
    batching: Batching,
    owner: ChildOwner,
  ) {
    this.#options = options;
    this.#outputs = outputs;
    this.#batching = batching;
    this.#owner = owner;
    this.#keeper = options.launch.isDeno && Keeper.isPossible() ? new Keeper() : undefined;
    this.#canImportAll = canImportAll(options.launch);
  }

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  /** Resolves when none is left, and no shell that has just begun to look after them. */
  async leave(): Promise<void> {
    if (!this.isEmpty) {
      this.#emptied ??= Promise.withResolvers<void>();
      await this.#emptied.promise;
    }
    // Somebody may have stopped that.
    if (this.#keeper !== undefined) await atMost(END_MS, this.#keeper.left);
  }

  // Starting

  mayStart(): boolean {
    if (this.#isClosed || this.#retry !== undefined) return false;
    return this.#live < this.#options.maxWorkers;
  }

  get #live(): number {
    let live = 0;
    for (const { state } of this.#all) if (state !== "ENDING") live++;
    return live;
  }

  /** The census, where it may be another one than at the last call: to count takes as long as a small task. */
  takeCensus(): Census | undefined {
    if (!this.#hasChanged) return undefined;
    this.#hasChanged = false;
    const starting = this.#count(({ state }) => state === "STARTING");
    return { children: this.#live, starting, restarts: this.#restarts };
  }

  /** How many will be idle soon, it seems. */
  get coming(): number {
    const now = performance.now();
    return this.#count((child) => child.isComing(now));
  }

  /**
   * Starts one.
   *
   * @param definitions Functions whose modules it shall be able to import, the most urgent ones first.
   * @param onRetry Called a while after it could not be started, when another one may be.
   * @param ahead Its process, where that has been started.
   * @returns Why it could not be started; `undefined` when it was.
   */
  start(definitions: Iterable<Definition>, onRetry: () => void, ahead?: Deno.ChildProcess): string | undefined {
    const modules = fitting(this.#wantedModules(definitions));
    const number = this.#started;
    const name = `${this.#options.name}_${number}`;
    let child: Child;
    try {
      child = new Child(
        number,
        name,
        modules,
        this.#options,
        this.#outputs,
        this.#batching,
        this.#owner,
        this.#keeper,
        ahead,
      );
    } catch (error) {
      // Nothing has changed yet that could make it possible now.
      this.#retry ??= after(RETRY_MS * (this.#failedStarts + 1), () => {
        this.#retry = undefined;
        onRetry();
      });
      return `Cannot start a process: ${error instanceof Error ? error.message : error}`;
    }
    this.#started++;
    if (this.#vacancies > 0) {
      this.#vacancies--;
      this.#restarts++;
    }
    this.#all.add(child);
    this.#hasChanged = true;
    this.#lookAfter();
    return undefined;
  }

  #wantedModules(definitions: Iterable<Definition>): Set<string> {
    const wanted = new Set<string>();
    if (this.#canImportAll) return wanted;
    for (const definition of definitions) {
      for (const url of modulesOf(definition)) if (!isFree(this.#options.launch, url)) wanted.add(url);
    }
    return wanted;
  }

  canImport(child: Child, definition: Definition): boolean {
    return this.#canImportAll || child.canImport(definition);
  }

  /** How many in a row could not be started, or died before they were ready. */
  get failedStarts(): number {
    return this.#failedStarts;
  }

  /** One has started. */
  resetFailedStarts(): void {
    this.#failedStarts = 0;
    this.#hasChanged = true;
  }

  /** One could not be started, or died before it was ready; `false` where the next one would not fare better. */
  countFailedStart(): boolean {
    return ++this.#failedStarts < MAX_FAILED_STARTS;
  }

  // Those that are idle

  get hasIdle(): boolean {
    return this.#idle.length > 0;
  }

  get areIdle(): boolean {
    return this.#idle.length === this.#all.size;
  }

  addIdle(child: Child): void {
    this.#idle.push(child);
    const { idleTimeout } = this.#options;
    if (idleTimeout === undefined) return;
    this.#idleSince.set(child, performance.now());
    this.#stopIdleTimer ??= whenPassed(performance.now() + idleTimeout, () => this.#endIdle(idleTimeout));
  }

  /** Ends those that have been idle for long. */
  #endIdle(ms: number): void {
    this.#stopIdleTimer = undefined;
    for (let [child] = this.#idle; child !== undefined; [child] = this.#idle) {
      const end = this.#idleSince.get(child)! + ms;
      if (performance.now() < end) {
        this.#stopIdleTimer = whenPassed(end, () => this.#endIdle(ms));
        break;
      }
      this.#idle.shift();
      child.end();
      this.#hasChanged = true;
    }
    this.#owner.onIdleEnd();
  }

  /**
   * Takes one to run a task. One that would have to start a thread first comes last; `undefined` where none is idle, or
   * as many as are wanted start, or start their threads.
   */
  takeIdle(wanted: number): Child | undefined {
    if (this.#idle.at(-1)?.hasToAttend !== true) return this.#idle.pop();
    const at = this.#idle.findLastIndex((child) => !child.hasToAttend);
    const now = performance.now();
    if (at === -1 && this.#count((child) => child.isComingSoon(now)) >= wanted) return undefined;
    return this.#idle.splice(at, 1)[0];
  }

  #forgetIdle(child: Child): void {
    const at = this.#idle.indexOf(child);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  /** Has one that is idle start the thread that attends to it, where it is to; `false` where it can get a task. */
  attend(child: Child): boolean {
    if (!child.attend()) return false;
    this.#lookAfter();
    return true;
  }

  // Those that are busy

  /** Has one that is idle run tasks. */
  run(child: Child, tasks: readonly EncodedTask[]): void {
    child.run(tasks);
    this.#lookAfter();
    if (this.#isRecalling) return;
    this.#isRecalling = true;
    every(RECALL_LOOK_MS, () => {
      const now = performance.now();
      return this.#isRecalling = this.#count((child) => child.recallIfLate(now)) > 0;
    });
  }

  #lookAfter(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    every(LOOK_MS, () => {
      const now = performance.now();
      return this.#isLooking = this.#count((child) => child.look(now)) > 0;
    });
  }

  /** Calls a function for all of them; returns for how many it was true. */
  #count(call: (child: Child) => boolean): number {
    let count = 0;
    for (const child of this.#all) if (call(child)) count++;
    return count;
  }

  /** Has all forget a function that no task calls any more. */
  unbind(fn: number): void {
    for (const child of this.#all) child.functions.unbind(fn);
  }

  /** Recalls all tasks that wait behind another one. */
  recallPrefetched(): void {
    for (const child of this.#all) child.recallPrefetched();
  }

  /** Has the task of a slot end that one of them has. */
  abort(slot: number, grace: number): void {
    for (const child of this.#all) child.abort(slot, grace);
  }

  // Their end

  /** Lets one end when it has done what it does; another one may take its place. */
  end(child: Child): void {
    this.#forgetIdle(child);
    child.end();
    this.#hasChanged = true;
    this.#vacancies++;
  }

  /** One has died; another one may take its place. */
  noteDeath(): void {
    this.#vacancies++;
  }

  /** Sends all a signal, and kills those that have not ended a while later. No more are started. */
  kill(signal: Deno.Signal): void {
    this.#close();
    for (const child of this.#all) child.kill(signal);
    this.#killLater();
  }

  /** Lets those end that have nothing to do, and kills the others: nobody waits for what they do. */
  endAll(): void {
    this.#close();
    for (const child of this.#all) {
      if (child.state === "IDLE" || child.state === "AWAY") child.end();
      else if (child.state !== "ENDING") child.kill("SIGKILL");
    }
    this.#killLater();
  }

  /** No more are started, nor get tasks. */
  #close(): void {
    this.#isClosed = true;
    this.#hasChanged = true;
    this.#idle.length = 0;
    this.#stopIdleTimer?.();
    this.#stopIdleTimer = undefined;
  }

  #killLater(): void {
    if (this.isEmpty) return;
    this.#lastSignal ??= after(END_MS, () => {
      for (const child of this.#all) child.killAtLast();
    });
  }

  /** One has ended. */
  remove(child: Child): void {
    this.#all.delete(child);
    this.#hasChanged = true;
    this.#forgetIdle(child);
    if (!this.isEmpty) return;
    this.#lastSignal?.();
    this.#lastSignal = undefined;
    this.#emptied?.resolve();
    this.#emptied = undefined;
  }
}
