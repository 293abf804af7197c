/**
 * What a broker knows of one child: its state, the tasks that it has, and what it may say now. Over 400 lines, because
 * the states of a child, and all that moves it from one to another, are one class.
 *
 * @module
 */

import { sharedNow } from "../../futures/builtins.ts";
import { EncodedSections } from "../_values/encoded.ts";
import { AWAY_MS, type Batching, type EncodedTask, hasTimeout, LOOK_MS, Patience, STARTING_MS } from "./_batching.ts";
import { ChildFunctions, type FunctionSource } from "./_child_functions.ts";
import type { Keeper } from "./_keeper.ts";
import { type ChildExit, ChildProcess, unexpected } from "./_child_process.ts";
import type { DeathReport } from "./_death_error.ts";
import { Endings } from "./_endings.ts";
import { type Definition, modulesOf } from "../_functions/definition.ts";
import { type Initializer, RecordType, type TaskLimits } from "../_queue/protocol.ts";
import { fromPosted } from "../_queue/posted.ts";
import { childArguments, isFree, type Launch, startProcess } from "./_launch.ts";
import {
  addEntry,
  type ChildSettings,
  encodeMessage,
  type Entries,
  type Message,
  payloadOf,
  payloadsOf,
  type ResultPayload,
  type TaskEntry,
  VERSION,
} from "./messages.ts";
import type { Output } from "./_output.ts";
import { Signals } from "./_signals.ts";
import { after } from "./_timers.ts";

/**
 * What a child is doing.
 *
 * | state    | meaning                                                         | next                 |
 * | -------- | --------------------------------------------------------------- | -------------------- |
 * | STARTING | it has not said `ready`                                         | IDLE, ENDING         |
 * | IDLE     | it has nothing to do                                            | BUSY, AWAY, ENDING   |
 * | BUSY     | it has tasks                                                    | IDLE, AWAY, ENDING   |
 * | AWAY     | all of its tasks were recalled: something else computes there   | IDLE, ENDING         |
 * |          | or it was alone, and starts the thread that attends to it       |                      |
 * | ENDING   | its input was ended, or it was sent a signal: it gets no task   |                      |
 *
 * The process may end in any of them. In all but ENDING nobody expects that.
 */
type ChildState =
  | { readonly name: "STARTING" | "IDLE" }
  | { readonly name: "AWAY"; readonly since: number }
  | {
    readonly name: "BUSY";
    /** When it got its tasks. */
    readonly givenAt: number;
    /** Whether they are recalled: it was asked which of them it has not begun, or has answered that. */
    readonly recall: "none" | "asked" | "answered";
  }
  | { readonly name: "ENDING"; readonly sent?: Deno.Signal; readonly wasStarting: boolean };

/** What all children of a pool have in common. */
export interface ChildOptions {
  launch: Launch;
  /** What to call in each child before its first task. */
  initializer: Initializer | undefined;
  maxTasksPerChild: number;
  /** How many bytes of memory a child may hold after a task; `undefined`: no limit. */
  maxMemoryPerChild: number | undefined;
  /** Whether only the task fails that a dead child was running. */
  replaces: boolean;
}

/** How long a child may take to end by itself that nobody attends to, in milliseconds. */
const END_ALONE_MS = 1_000;

/** What a broker does with what a child says. */
export interface ChildOwner extends FunctionSource {
  limitsOf(task: EncodedTask): TaskLimits;
  onReady(child: Child): void;
  /** It speaks another version of the protocol. */
  onWrongVersion(version: number): void;
  onInitializerFailed(error: EncodedSections): void;
  onProgress(task: EncodedTask, payload: EncodedSections): void;
  onResults(
    child: Child,
    done: readonly EncodedTask[],
    results: readonly ResultPayload[],
    running: EncodedTask | undefined,
  ): void;
  /** It will not run these. */
  onRecalled(child: Child, tasks: readonly EncodedTask[]): void;
  /** It has nothing to do, and could begin something. */
  onIdle(child: Child): void;
  /** Children may have ended because they were idle for long. */
  onIdleEnd(): void;
  onExit(child: Child, exit: ChildExit): void;
}

/** A child process that runs tasks. */
export class Child {
  /** What it is called in messages. */
  readonly name: string;
  /** Which of all that were ever started. */
  readonly number: number;
  /** When it was started, by the clock that all processes share. */
  readonly startedAt: number = sharedNow();
  readonly #process: ChildProcess;
  readonly #options: ChildOptions;
  readonly #batching: Batching;
  readonly #owner: ChildOwner;
  readonly #keeper: Keeper | undefined;
  /** The modules that it was started for. It can import others only where its permissions let it. */
  readonly #modules: ReadonlySet<string>;
  readonly #startedAt = performance.now();
  #state: ChildState = { name: "STARTING" };
  /** The tasks that it has and has not answered, in order: the first one runs, the others are prefetched. */
  readonly #tasks: EncodedTask[] = [];
  /** Whether it holds more memory than it may. */
  #isFull = false;
  /** How many tasks it may still get. */
  #tasksLeft: number;
  /** The number of the last task that it got, and of the first one that it has not answered. */
  #lastId = 0;
  #nextId = 1;
  /** Up to which tasks it was asked, in order, what it has not begun, and has not said. */
  readonly #asked: number[] = [];
  /** The number of the last task that it has announced to begin; only where a death fails no other task. */
  #begunId = 0;
  readonly #patience = new Patience();
  readonly functions: ChildFunctions;
  /** Calls off what runs while it may end by itself, and nobody attends to it who would end it. */
  #lastSignal: (() => void) | undefined;
  #killedFor: "abort" | "timeout" | "silence" | undefined;
  /** The signals among the arguments of its tasks. */
  readonly #signals = new Signals((number, reason) => this.#process.send(["signal", number, reason]));
  /** Those of its tasks that are to end. */
  readonly #endings = new Endings({
    mayKillFor: (task) =>
      task === this.#tasks[0] && !this.#process.isHeld &&
      !(this.#state.name === "BUSY" && this.#state.recall === "asked"),
    hasOthers: () => this.#tasks.length > 1,
    killFor: (why) => {
      this.#killedFor ??= why;
      this.#process.kill("SIGKILL");
    },
  });

  /** @throws It cannot be started. */
  constructor(
    number: number,
    name: string,
    modules: readonly string[],
    options: ChildOptions,
    outputs: { stdout: Output; stderr: Output },
    batching: Batching,
    owner: ChildOwner,
    keeper: Keeper | undefined,
    ahead: Deno.ChildProcess | undefined,
  ) {
    const { launch, initializer, maxTasksPerChild, maxMemoryPerChild, replaces } = options;
    this.number = number;
    this.name = name;
    this.#process = new ChildProcess(
      ahead ?? startProcess(launch, childArguments(launch, modules)),
      outputs,
      { onMessage: (message) => this.#hear(message), onExit: (exit) => this.#onExit(exit) },
      // What an initializer leaves behind may hold up the first task, which only a thread can give back.
      (pid) => initializer === undefined && keeper?.keep(pid) === true,
    );
    this.#keeper = keeper;
    this.functions = new ChildFunctions(this.#process, owner);
    this.#options = options;
    this.#batching = batching;
    this.#owner = owner;
    this.#modules = new Set(modules);
    this.#tasksLeft = maxTasksPerChild;
    const settings: ChildSettings = {
      version: VERSION,
      token: this.#process.token,
      name,
      hasInitializer: initializer !== undefined,
      announces: replaces,
      isAttended: !this.#process.isAlone,
      maxMemory: maxMemoryPerChild,
      mainModule: launch.mainModule,
    };
    this.#process.send(["start", settings]);
    if (initializer !== undefined) this.#initialize(initializer);
  }

  #onExit(exit: ChildExit): void {
    this.#lastSignal?.();
    this.#keeper?.forget(this.#process.pid);
    this.#forget(this.#tasks);
    this.#owner.onExit(this, exit);
  }

  /** Tasks have left this process. */
  #forget(tasks: readonly EncodedTask[]): void {
    this.#endings.forget(tasks);
    this.#signals.forget(tasks);
  }

  #initialize({ fn, payload }: Initializer): void {
    this.functions.define(fn);
    const encoded = EncodedSections.from(fromPosted(payload));
    this.#process.send(["initialize", fn, encoded.encoding], encoded);
  }

  /** Whether it is known which of its tasks have not begun: it was asked for them, and they are gone from here. */
  get hasAnsweredRecall(): boolean {
    return this.#tasks.length <= 1 || (this.#state.name === "BUSY" && this.#state.recall === "answered");
  }

  get state(): ChildState["name"] {
    return this.#state.name;
  }

  /** Whether it may be idle soon: it starts, or something else computes there, and not for long yet. */
  isComing(now: number): boolean {
    return this.#state.name === "STARTING" || (this.#state.name === "AWAY" && now < this.#state.since + AWAY_MS);
  }

  /** The tasks that it has and has not answered, in order: the first one runs, the others are prefetched. */
  get tasks(): readonly EncodedTask[] {
    return this.#tasks;
  }

  /** How many tasks it may still get. */
  get tasksLeft(): number {
    return this.#isFull ? 0 : this.#tasksLeft;
  }

  /** How many tasks it may get at once: one, while nobody attends to it who could give back the others. */
  get room(): number {
    return this.#process.isAlone ? Math.min(1, this.tasksLeft) : this.tasksLeft;
  }

  /** Whether a thread has to attend to its input before it gets a task: it has run one, and none does. */
  get hasToAttend(): boolean {
    return this.#process.isAlone && this.#lastId !== 0;
  }

  /** Whether it is about to be idle: it starts, or starts that thread, and not for long yet. */
  isComingSoon(now: number): boolean {
    const state = this.#state;
    if (state.name === "STARTING") return now < this.#startedAt + STARTING_MS;
    return state.name === "AWAY" && this.#process.isAlone && now < state.since + AWAY_MS;
  }

  /**
   * Has a thread attend to its input, where it has run a task and none does. It is idle again when it has started that
   * thread, which waits for what its first task has left behind.
   *
   * @returns Whether it gets no task now.
   */
  attend(): boolean {
    if (!this.hasToAttend) return false;
    this.#state = { name: "AWAY", since: performance.now() };
    this.#process.send(["attend"]);
    return true;
  }

  /** Whether it has announced to begin the first of its tasks. */
  get hasBegun(): boolean {
    return this.#begunId === this.#nextId;
  }

  /** Whether it was killed because a task is to end. */
  get isAborted(): boolean {
    return this.#killedFor === "abort" || this.#killedFor === "timeout";
  }

  /** Whether it was killed because a task had run for longer than its timeout. */
  get hasTimedOut(): boolean {
    return this.#killedFor === "timeout";
  }

  canImport(definition: Definition): boolean {
    const { launch } = this.#options;
    return modulesOf(definition).every((url) => this.#modules.has(url) || isFree(launch, url));
  }

  /** Runs tasks, which have been marked as started: one, or several quick ones. It must be idle. */
  run(tasks: readonly EncodedTask[]): void {
    const entries: Entries<TaskEntry> = [];
    const payloads: EncodedSections[] = [];
    this.functions.beginTasks();
    for (const task of tasks) {
      const { fn, flags, payload } = task;
      this.functions.define(fn);
      const entry: TaskEntry = [fn, flags, payload.encoding, payload.sections.length];
      if (hasTimeout(task)) entry[4] = this.#owner.limitsOf(task);
      if (payload.shared.length > 0) {
        entry[4] ??= null;
        entry[5] = this.#signals.begin(task);
      }
      addEntry(entries, entry);
      payloads.push(payload);
    }
    this.#tasks.push(...tasks);
    this.#tasksLeft -= tasks.length;
    this.#state = { name: "BUSY", givenAt: performance.now(), recall: "none" };
    this.#process.write(encodeMessage(["tasks", this.#lastId + 1, this.#process.sent, entries], ...payloads));
    this.#lastId += tasks.length;
  }

  // What it says

  #hear(message: Message): void {
    const { header } = message;
    switch (header[0]) {
      case "ready":
        if (!this.#isStarting(header)) return;
        if (header[1] !== VERSION) this.#owner.onWrongVersion(header[1]);
        else {
          this.#owner.onReady(this);
          this.#beIdle();
        }
        return;
      case "failed":
        if (!this.#isStarting(header)) return;
        if (this.#options.initializer === undefined) throw unexpected(header);
        this.#owner.onInitializerFailed(payloadOf(header[1], message));
        return;
      case "begun":
        // It has answered all before, and can begin only the next one.
        if (!this.#options.replaces || this.#tasks.length === 0 || header[1] !== this.#nextId) throw unexpected(header);
        this.#begunId = header[1];
        return;
      case "called":
        if (this.#tasks.length === 0 || !hasTimeout(this.#tasks[0]) || header[1] !== this.#nextId) {
          throw unexpected(header);
        }
        this.#limit(this.#tasks[0]);
        return;
      case "attended":
        if (!this.#process.isAlone) throw unexpected(header);
        this.#process.isAlone = false;
        this.#keeper!.forget(this.#process.pid);
        if (this.#state.name === "AWAY") this.#beIdle();
        return;
      case "progress":
        // What comes late is of no use.
        if (this.#tasks.length > 0 && header[1] === this.#nextId) {
          this.#owner.onProgress(this.#tasks[0], payloadOf(header[2], message));
        }
        return;
      case "full":
        // It says so before the result of a task: it gets no other one.
        if (this.#options.maxMemoryPerChild === undefined) throw unexpected(header);
        this.#isFull = true;
        return;
      case "results":
        this.#hearResults(header[1], payloadsOf(message, this.#tasks.length));
        return;
      case "recalled":
        this.#hearRecalled(header[1], header[2], header);
        return;
      case "free": {
        const [, last] = header;
        if (!(last <= this.#lastId)) throw unexpected(header);
        // It may have got others meanwhile, and those were recalled, too.
        if (this.#state.name === "AWAY" && last === this.#lastId) this.#beIdle();
        return;
      }
      default:
        throw unexpected(header);
    }
  }

  /** Whether it says what only a child can say that is starting; `false` where nobody listens to that any more. */
  #isStarting(header: readonly unknown[]): boolean {
    if (this.#state.name === "STARTING") return true;
    if (this.#state.name === "ENDING" && this.#state.wasStarting) return false;
    throw unexpected(header);
  }

  #hearResults(firstId: number, results: ResultPayload[]): void {
    // Whatever a child says, it can only settle the tasks that it has, one after the other.
    if (firstId !== this.#nextId || results.length === 0 || results.length > this.#tasks.length) {
      throw unexpected(["results", firstId, results.length]);
    }
    const late = results.findIndex(({ type }, i) => type === RecordType.TIMED_OUT && !hasTimeout(this.#tasks[i]));
    if (late >= 0) throw unexpected(["results", firstId + late, RecordType.TIMED_OUT]);
    const done = this.#tasks.splice(0, results.length);
    this.#nextId += done.length;
    this.#forget(done);
    // The next one may have been told to end while it waited.
    if (this.#tasks.length > 0 && this.#endings.isAborted(this.#tasks[0])) this.#process.send(["abort", this.#nextId]);
    this.#owner.onResults(this, done, results, this.#tasks[0]);
    // A child that lies may answer what is still being written.
    if (this.#process.written === undefined) { for (const { payload } of done) payload.giveBack(); }
    if (this.#tasks.length > 0) return;
    if (this.#state.name === "BUSY") {
      const { givenAt, recall } = this.#state;
      this.#batching.learn(done.at(-1)!, performance.now() - givenAt, recall !== "none");
      this.#nextId = this.#lastId + 1;
      this.#beIdle();
    } else {
      // It was told to end.
      this.#process.end();
    }
  }

  #hearRecalled(first: number, last: number, header: readonly unknown[]): void {
    // A task that has found out the token can say this, too, but not keep the reading thread from saying it.
    if (this.#asked.shift() !== last) throw unexpected(header);
    // It may have answered them all meanwhile, and got others.
    if (last < this.#nextId) return;
    const isFitting = Number.isInteger(first) && first >= this.#nextId && first <= last + 1;
    if (!isFitting || first <= this.#begunId) throw unexpected(header);
    // Its end decides what becomes of them.
    if (this.#state.name === "ENDING") return;
    if (this.#state.name !== "BUSY") throw unexpected(header);
    this.#state = { ...this.#state, recall: "answered" };
    if (first === this.#nextId) this.#batching.onHeldUp(this.#tasks[0]);
    const recalled = this.takeFrom(first - this.#nextId);
    if (this.#tasks.length === 0) {
      this.#nextId = this.#lastId + 1;
      this.#state = { name: "AWAY", since: performance.now() };
    }
    this.#owner.onRecalled(this, recalled);
  }

  /** Takes the tasks away that it has not begun: those from a place on. */
  takeFrom(place: number): EncodedTask[] {
    const taken = this.#tasks.splice(place);
    this.#forget(taken);
    // A child that lies may give back what is still being written to it.
    for (const { payload } of taken) payload.isKept = true;
    // Where it has begun none, it is not their function that is slow.
    if (place > 0) this.#batching.onSlow(taken);
    this.#tasksLeft += taken.length;
    return taken;
  }

  #beIdle(): void {
    // What it was killed for may have answered just before: the next task would die with it.
    if (this.#state.name === "ENDING" || this.#killedFor !== undefined) return;
    this.#state = { name: "IDLE" };
    this.#owner.onIdle(this);
  }

  // Looking after it

  /** Recalls what it has not begun when it is time; `false` where there is nothing to be recalled. */
  recallIfLate(now: number): boolean {
    if (this.#state.name !== "BUSY" || !this.#mayHaveUnbegun()) return false;
    const { givenAt } = this.#state;
    const { writtenAt } = this.#process;
    const { boundBytes } = this.functions;
    if (now >= this.#batching.recallAt({ tasks: this.#tasks, givenAt, writtenAt, boundBytes })) this.#recall();
    return true;
  }

  /** Recalls the tasks that wait behind another one, if there are any. */
  recallPrefetched(): void {
    if (this.#tasks.length > 1 && this.#mayHaveUnbegun()) this.#recall();
  }

  /** Whether it may have tasks that it has not begun, and was not asked for them. */
  #mayHaveUnbegun(): boolean {
    return this.#state.name === "BUSY" && this.#state.recall === "none" && !this.#process.isAlone &&
      this.#tasks.length > (this.hasBegun ? 1 : 0);
  }

  #recall(): void {
    if (this.#state.name !== "BUSY") return;
    this.#state = { ...this.#state, recall: "asked" };
    this.#patience.begin();
    this.#asked.push(this.#lastId);
    this.#process.recall(this.#lastId);
  }

  /** Looks whether it has lost what it was sent; `false` where it owes no answer. */
  look(now: number): boolean {
    const since = this.#owesSince();
    if (since === undefined) return false;
    if (now - since < LOOK_MS) return true;
    if (this.#keepsOthers()) {
      this.#killedFor ??= "silence";
      this.#process.kill("SIGKILL");
    }
    this.#process.probe(!(this.#process.isAlone && this.#state.name === "BUSY"));
    return true;
  }

  /** Since when it owes an answer. */
  #owesSince(): number | undefined {
    switch (this.#state.name) {
      case "STARTING":
        return this.#startedAt;
      case "BUSY":
        return this.#state.givenAt;
      case "AWAY":
        // Its main thread reads: one that is attended to computes something else.
        return this.#process.isAlone ? this.#state.since : undefined;
    }
  }

  /**
   * Whether it does not give back recalled tasks, although its reading thread could: the task that runs may have
   * stopped that thread. With `onWorkerCrash: "replace"` the tasks behind it do not wait forever.
   */
  #keepsOthers(): boolean {
    const isAsked = this.#state.name === "BUSY" && this.#state.recall !== "none";
    if (!this.#options.replaces || !isAsked || this.#tasks.length < 2) return false;
    // Its answer waits behind what it has printed.
    return !this.#process.isPassingOn && this.#patience.isAtEnd(this.#process.written);
  }

  // Its end

  /** Lets it end when it has done what it does. */
  end(): void {
    this.#beEnding();
    this.#process.end();
    if (this.#process.isAlone) this.#lastSignal = after(END_ALONE_MS, () => this.killAtLast());
  }

  /** Ends it by a signal. */
  kill(signal: Deno.Signal): void {
    this.#beEnding(signal);
    this.#process.kill(signal);
  }

  #beEnding(sent?: Deno.Signal): void {
    const { name } = this.#state;
    const wasStarting = this.#state.name === "ENDING" ? this.#state.wasStarting : name === "STARTING";
    this.#state = { name: "ENDING", sent, wasStarting };
  }

  /** Kills it where it has not ended for long after it was told to. */
  killAtLast(): void {
    this.#process.kill("SIGKILL");
  }

  /**
   * Has the task of a slot end, if it is here: by its signal, and after its grace with this process. Those behind it
   * are recalled at once, as they do not end with it. So is the task itself, which may not have begun.
   */
  abort(slot: number, grace: number): void {
    const task = this.#tasks.find((task) => task.slot === slot);
    if (task === undefined || this.#endings.isAborted(task) || this.#state.name !== "BUSY") return;
    if (task === this.#tasks[0]) this.#process.send(["abort", this.#nextId]);
    if (this.#state.recall === "none" && !this.#process.isAlone) this.#recall();
    this.#endings.add(task, performance.now() + grace, "abort");
  }

  /** Has the task whose function is called end when it has run for too long; its own process tells its signal. */
  #limit(task: EncodedTask): void {
    const { timeout, grace } = this.#owner.limitsOf(task);
    this.#endings.add(task, performance.now() + timeout + grace, "timeout");
  }

  /** What is told of its end. */
  reportOf(exit: ChildExit, failedStarts: number): DeathReport {
    return {
      ...exit,
      during: this.#state.name === "STARTING" ? "start" : this.#tasks.length === 0 ? "idle" : "task",
      sent: this.#state.name === "ENDING" ? this.#state.sent : undefined,
      killedFor: this.#killedFor,
      failedStarts,
      slot: this.#tasks.at(0)?.slot,
    };
  }
}
