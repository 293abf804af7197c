/**
 * What the broker of a `ProcessPoolExecutor` runs: a Web Worker that takes tasks out of the pool's queue, starts children, gives each of
 * them one task at a time, and publishes what they answer. What it does when is told in README.md beside this file.
 *
 * @module
 */

import { EncodedSections, Encoding } from "../_values/encoded.ts";
import { ChildProcess, type Death } from "./_child_process.ts";
import { Consumer, ENCODED, type Task } from "../_queue/consumer.ts";
import {
  type ConsumerMessage,
  type ConsumerStart,
  fromPosted,
  type Initializer,
  RecordType,
  TaskFlag,
  TaskState,
} from "../_queue/protocol.ts";
import { MAX_INLINE_BYTES } from "../_queue/task_queue.ts";
import { childArguments, fitting, isFree, type Launch } from "./_launch.ts";
import { type Definition, modulesOf } from "../_functions/definition.ts";
import { Output } from "./_output.ts";
import {
  type ChildSettings,
  encodeMessage,
  type Message,
  payloadOf,
  payloadsOf,
  type ResultPayload,
  type TaskEntry,
  VERSION,
} from "./messages.ts";

/** The first message to the broker. */
export interface BrokerStart extends ConsumerStart {
  /** What to call in each child before its first task. */
  initializer: Initializer | undefined;
  launch: Launch;
  /** What children are called in messages. */
  name: string;
  maxWorkers: number;
  maxTasksPerChild: number;
  /** Whether only the task fails that a dead child was running. */
  replaces: boolean;
}

/** How a child died, and what it was doing; or why it could not be started. It tells the owner, as JSON. */
export type DeathReport =
  | Death & {
    during: "start" | "idle" | "task";
    /** The signal that the pool itself sent. */
    sent?: Deno.Signal;
    /** Whether the pool killed it to end its task. */
    isAborted: boolean;
    /** Whether it was killed because it gave no tasks back. */
    isSilent: boolean;
    /** How many in a row died while they were starting. */
    failedStarts: number;
  }
  | { problem: string };

/** After so many children in a row that died while they were starting, the pool gives up. */
const MAX_FAILED_STARTS = 3;

/** How long after a child that could not be started the next one is; longer with each in a row. In milliseconds. */
const RETRY_MS = 100;

/** How long children may take to end by themselves, in milliseconds. */
const END_MS = 2_000;

/**
 * How many tasks a child is given at once, at the most: one is running, the others must be returned before they can be cancelled. More make
 * small tasks cheaper. Only functions that have proved to be quick are given in such numbers.
 */
const MAX_AT_ONCE = 256;

/** A function is quick while as many tasks as a child is given at once take no longer than this, in milliseconds. */
const QUICK_MS = 1;

/** How often a child is looked at that owes an answer, in milliseconds. */
const LOOK_MS = 500;

/** After so many looks a child that gives no tasks back is killed, where they must not suffer from it. */
const MAX_LOOKS = 10;

/** Tasks that were given at once and are not done after this time are taken back, but for the one that runs, in milliseconds. */
const TAKE_BACK_MS = 4;

/**
 * A single task that has not begun after this time is taken back, in milliseconds; twice as long where it was before,
 * and so on.
 */
const HELD_UP_MS = 16;

/** How often that is doubled, at the most. */
const MAX_DOUBLINGS = 6;

/**
 * How many bytes of a task a child takes in within a millisecond, on a busy machine: a large one has not begun for long
 * after it was written, and to send it again would take as long.
 */
const TAKEN_IN_PER_MS = 100_000;

/**
 * What a child is doing. STARTING until it has said that it is ready, then IDLE and BUSY in turn; AWAY when it has
 * given back all that it was given, until it says that it could begin something; ENDING when its input was ended or it
 * was sent a signal. Any of them ends with the process.
 */
type ChildState =
  | { readonly name: "STARTING" | "IDLE" | "BUSY" | "AWAY" }
  | { readonly name: "ENDING"; readonly sent?: Deno.Signal };

/** How often the end of the program hears whether output is still being written, in milliseconds. */
const REPORT_MS = 100;

type EncodedTask = Task<EncodedSections>;

interface Child {
  readonly process: ChildProcess;
  state: ChildState;
  /** Whether it has said that it is ready. */
  isReady: boolean;
  /** The tasks that it was given and has not answered, in order: the first one runs. */
  given: EncodedTask[];
  /** How many tasks it was given in all, but for those that were taken back. */
  tasks: number;
  /** The number of the last task that it was given, and of the first one that it has not answered. */
  lastId: number;
  nextId: number;
  /** The number of the last task that it has announced to begin; only where a death fails no other task. */
  begunId: number;
  /** When it was given tasks last, and whether they are being taken back, or have been. */
  givenAt: number;
  isTakingBack: boolean;
  /** Whether it has not said yet which of them it gives back. */
  owesReturned: boolean;
  /** How often it was looked at since then, and has given nothing back. */
  looks: number;
  /** How much of what it was sent had been written at the last look. */
  written: number | undefined;
  /** Whether it was killed for that. */
  isSilent: boolean;
  /** Whether it was killed to end its task. */
  isAborted: boolean;
  /** Which functions it knows. */
  readonly defined: Set<number>;
  /** The modules that it was started for. It can import others only where its permissions let it. */
  readonly modules: ReadonlySet<string>;
}

class Broker {
  readonly #start: BrokerStart;
  readonly #consumer: Consumer<EncodedSections>;
  /** Whether children may import any module by their permissions. */
  readonly #canImportAll: boolean;
  readonly #outputs = { stdout: new Output(Deno.stdout), stderr: new Output(Deno.stderr) };
  readonly #children = new Set<Child>();
  /** Those that are idle, the last one on top: its caches are the warmest. */
  readonly #idle: Child[] = [];
  /** Tasks that were taken from the queue, or back from a child, and wait for a child; still pending, so they can be cancelled. */
  readonly #backlog: EncodedTask[] = [];
  /** A task that was taken from the queue, and whose arguments or function are on their way. */
  #arriving: Promise<void> | undefined;
  /** How many tasks of a kind of work a child is given at once. */
  readonly #atOnce = new Map<number, number>();
  #watch: ReturnType<typeof setInterval> | undefined;
  #look: ReturnType<typeof setInterval> | undefined;
  /** Tasks that did not fail with the child that they were given, because they had not begun. */
  readonly #spared = new WeakSet<EncodedTask>();
  /** How often tasks were taken back from a child that had begun nothing. */
  readonly #returns = new WeakMap<EncodedTask, number>();
  #started = 0;
  #failedStarts = 0;
  /** Runs while no child is started, because one could not be a moment ago. */
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Runs while children that were asked to end may do so by themselves. */
  #lastSignal: ReturnType<typeof setTimeout> | undefined;
  /** Whether no more children are started: the pool is broken, or was told to end. */
  #isEnding = false;
  #onChange = () => {};

  constructor(start: BrokerStart) {
    this.#start = start;
    this.#canImportAll = start.launch.canRead && start.launch.imports === undefined;
    this.#consumer = new Consumer(start, ENCODED);
  }

  async serve(): Promise<void> {
    await this.#consumer.begin();
    while (!this.#isEnding) {
      if (this.#arriving !== undefined) await this.#arriving;
      else if (this.#idle.length === 0 && !this.#mayStart()) await this.#change();
      else if (this.#take()) this.#feed();
      else if (this.#arriving === undefined) {
        await this.#consumer.waitForWork(this.#idle.length === this.#children.size);
      }
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
    while (this.#backlog.length > 0 && this.#idle.length > 0) {
      const child = this.#idle.pop()!;
      const definition = this.#definitionOf(this.#backlog[0]);
      if (this.#canImport(child, definition)) this.#give(child);
      else this.#end(child);
    }
    let starting = 0;
    for (const { state } of this.#children) if (state.name === "STARTING") starting++;
    while (starting++ < this.#backlog.length && this.#mayStart()) this.#startChild();
  }

  #definitionOf({ fn }: EncodedTask): Definition {
    return this.#consumer.knownDefinition(fn)!;
  }

  receive(message: ConsumerMessage): void {
    switch (message.type) {
      case "stop":
        void this.#stop(message.signal, message.progress);
        break;
      case "recall":
        for (const child of this.#children) if (child.given.length > 1) this.#takeBack(child);
        break;
      case "abort":
        this.#abort(message.slot);
        break;
      case "kill":
        this.#endAll(message.signal);
        break;
      default:
        this.#consumer.receive(message);
    }
  }

  /** Kills the process that runs a task. */
  #abort(slot: number): void {
    for (const child of this.#children) {
      if (child.state.name !== "BUSY" || child.given[0]?.slot !== slot) continue;
      child.isAborted = true;
      child.process.kill("SIGKILL");
    }
    const returned = this.#backlog.filter((task) => task.slot === slot);
    this.#failBacklog({ problem: "somebody has aborted the task" }, returned);
    this.#consumer.acknowledgeAbort(slot);
  }

  /** Resolves when a child has become idle or has gone. */
  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#onChange = resolve);
  }

  #mayStart(): boolean {
    if (this.#isEnding || this.#retry !== undefined) return false;
    let live = 0;
    for (const { state } of this.#children) if (state.name !== "ENDING") live++;
    return live < this.#start.maxWorkers;
  }

  // Children

  #startChild(): void {
    const { launch, initializer, name } = this.#start;
    const token = makeToken();
    let child: Child;
    try {
      const modules = fitting(this.#wantedModules());
      const process = new ChildProcess(
        launch.deno,
        { args: childArguments(launch, modules), cwd: launch.cwd, env: launch.env },
        token,
        this.#outputs,
        { message: (message) => this.#hear(child, message), ended: (death) => this.#onChildExit(child, death) },
      );
      child = {
        process,
        state: { name: "STARTING" },
        isReady: false,
        given: [],
        tasks: 0,
        lastId: 0,
        nextId: 1,
        begunId: 0,
        givenAt: performance.now(),
        isTakingBack: false,
        owesReturned: false,
        looks: 0,
        written: undefined,
        isSilent: false,
        isAborted: false,
        defined: new Set(),
        modules: new Set(modules),
      };
    } catch (error) {
      this.#failStart({ problem: error instanceof Error ? error.message : String(error) });
      // Nothing has changed yet that could make it possible now.
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        this.#feed();
        this.#onChange();
      }, RETRY_MS * this.#failedStarts);
      return;
    }
    this.#children.add(child);
    this.#look ??= setInterval(() => this.#lookAtBusy(), LOOK_MS);
    const settings: ChildSettings = {
      version: VERSION,
      token,
      name: `${name}_${this.#started++}`,
      hasInitializer: initializer !== undefined,
      announces: this.#start.replaces,
      mainModule: launch.mainModule,
    };
    child.process.send(["start", settings]);
    if (initializer === undefined) return;
    const { fn, payload } = initializer;
    this.#define(child, fn);
    const encoded = EncodedSections.from(fromPosted(payload));
    child.process.send(["initialize", fn, encoded.encoding], encoded);
  }

  /** The modules that a new child shall be able to import, the most urgent ones first. */
  #wantedModules(): Set<string> {
    const { launch, initializer } = this.#start;
    const wanted = new Set<string>();
    if (this.#canImportAll) return wanted;
    const want = (definition: Definition | undefined) => {
      for (const url of definition === undefined ? [] : modulesOf(definition)) {
        if (!isFree(launch, url)) wanted.add(url);
      }
    };
    if (initializer !== undefined) want(this.#consumer.knownDefinition(initializer.fn));
    // That of the task which waits for it, and then those of the next ones: they mostly come in this order.
    for (const definition of this.#consumer.definitionsFrom(this.#backlog[0]?.fn ?? 0)) want(definition);
    return wanted;
  }

  #canImport({ modules }: Child, definition: Definition): boolean {
    return this.#canImportAll ||
      modulesOf(definition).every((url) => modules.has(url) || isFree(this.#start.launch, url));
  }

  /** A child could not be started, or died before it was ready: another one may be, but not for ever. */
  #failStart(report: DeathReport): void {
    if (++this.#failedStarts >= MAX_FAILED_STARTS) this.#break(report);
  }

  #define(child: Child, fn: number): void {
    if (child.defined.has(fn)) return;
    child.defined.add(fn);
    child.process.send(["define", fn, this.#consumer.knownDefinition(fn)]);
  }

  /**
   * Gives a child that is idle what comes next: one task, or several quick ones where all other children have enough to do.
   */
  #give(child: Child): void {
    const { given } = child;
    const isBusy = this.#idle.length === 0 && !this.#mayStart();
    const firstId = child.lastId + 1;
    const entries: TaskEntry[] = [];
    const payloads: EncodedSections[] = [];
    for (let most = 1; given.length < most;) {
      if (this.#backlog.length === 0 && (given.length === 0 || !this.#take())) break;
      const task = this.#backlog[0];
      const atOnce = isBusy ? this.#sizeFor(task) : 1;
      if (given.length > 0 && (given.length >= atOnce || !this.#canImport(child, this.#definitionOf(task)))) break;
      this.#backlog.shift();
      if (!this.#consumer.start(task, given.length === 0 ? TaskState.RUNNING : TaskState.PREFETCHED)) continue;
      const { fn, flags, payload } = task;
      this.#define(child, fn);
      given.push(task);
      entries.push([fn, flags, payload.encoding, payload.sections.length]);
      payloads.push(payload);
      most = Math.min(
        given.length === 1 ? atOnce : most,
        atOnce,
        given.length + this.#start.maxTasksPerChild - ++child.tasks,
      );
    }
    if (given.length === 0) {
      this.#idle.push(child);
      return;
    }
    child.state = { name: "BUSY" };
    child.isTakingBack = false;
    child.givenAt = performance.now();
    child.lastId += given.length;
    child.process.write(encodeMessage(["tasks", firstId, entries], ...payloads));
    this.#look ??= setInterval(() => this.#lookAtBusy(), LOOK_MS);
    this.#watch ??= setInterval(() => this.#takeBackWhatWaits(), TAKE_BACK_MS);
  }

  /** How many such tasks are given at once. */
  #sizeFor(task: EncodedTask): number {
    return this.#atOnce.get(workOf(task)) ?? 1;
  }

  /** Learns how quick a function is from the last of the tasks that a child was given. */
  #learn(child: Child, task: EncodedTask): void {
    const work = workOf(task);
    const size = this.#atOnce.get(work) ?? 1;
    const isQuick = performance.now() - child.givenAt <= QUICK_MS && !child.isTakingBack;
    this.#atOnce.set(work, isQuick ? Math.min(MAX_AT_ONCE, size * 2) : Math.max(1, size >> 2));
  }

  /**
   * Takes tasks back that wait for one which is not quick, or for what the last one has left behind: another child may
   * run them, and they can be cancelled again.
   */
  #takeBackWhatWaits(): void {
    const now = performance.now();
    let isWatched = false;
    for (const child of this.#children) {
      if (!this.#mayTakeBack(child)) continue;
      isWatched = true;
      if (now >= this.#dueAt(child)) this.#takeBack(child);
    }
    if (isWatched) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  /** A child that owes an answer for long may have lost what it was sent. */
  #lookAtBusy(): void {
    let isDue = false;
    for (const child of this.#children) {
      const { state, process, givenAt } = child;
      if (state.name !== "STARTING" && state.name !== "BUSY") continue;
      isDue = true;
      if (performance.now() - givenAt < LOOK_MS) continue;
      if (this.#keepsOthers(child)) {
        child.isSilent = true;
        process.kill("SIGKILL");
      }
      process.probe();
    }
    if (isDue) return;
    clearInterval(this.#look);
    this.#look = undefined;
  }

  /**
   * Whether a child gives nothing back, although its reading thread could, whatever a task does: the task may have stopped
   * it. Where a task can harm no other one, those behind it do not wait for ever.
   */
  #keepsOthers(child: Child): boolean {
    if (!this.#start.replaces || !child.isTakingBack || child.given.length < 2) return false;
    // Its answer waits behind what it has printed.
    if (child.process.isPassingOn) return false;
    // The request may lie behind a large task, which takes its time to arrive.
    const { written } = child.process;
    if (written !== undefined && child.written !== undefined && written > child.written) child.looks = 0;
    child.written = written;
    return ++child.looks >= MAX_LOOKS;
  }

  /** Whether a child may have tasks that it has not begun, and was not asked for them. */
  #mayTakeBack({ state, isTakingBack, given, begunId, nextId }: Child): boolean {
    return state.name === "BUSY" && !isTakingBack && given.length > (begunId === nextId ? 1 : 0);
  }

  /** When what a child has not begun by then is taken back. */
  #dueAt({ given, givenAt, process }: Child): number {
    const arrivalMs = given[0].payload.room / TAKEN_IN_PER_MS;
    if (given.length > 1) {
      return arrivalMs < 1 ? givenAt + TAKE_BACK_MS : process.writtenAt + arrivalMs;
    }
    const doublings = Math.min(this.#returns.get(given[0]) ?? 0, MAX_DOUBLINGS);
    return process.writtenAt + (HELD_UP_MS + arrivalMs) * 2 ** doublings;
  }

  #takeBack(child: Child): void {
    if (!this.#mayTakeBack(child)) return;
    child.isTakingBack = true;
    child.looks = 0;
    child.owesReturned = true;
    child.process.takeBack(child.lastId);
  }

  /** A child gives back what it was given from one task on; it has begun those before. */
  #hearReturned(child: Child, first: number): void {
    // Its end tells what becomes of them.
    if (child.state.name === "ENDING" || child.isAborted) return;
    if (first === child.nextId) this.#returns.set(child.given[0], (this.#returns.get(child.given[0]) ?? 0) + 1);
    this.#returnGiven(child, first - child.nextId);
    if (child.given.length === 0) {
      // It has begun none of them: something else holds it up, or has until now.
      child.nextId = child.lastId + 1;
      child.state = { name: "AWAY" };
    }
    this.#feed();
  }

  /** What a child was given and has not begun waits for the next one again, before all that is queued. */
  #returnGiven(child: Child, from: number): void {
    const returned = child.given.splice(Math.max(0, from));
    // Where none has begun, it is not their function that is slow.
    if (from > 0) { for (const task of returned) this.#atOnce.set(workOf(task), 1); }
    child.tasks -= returned.length;
    for (const task of returned) this.#consumer.setState(task, TaskState.PENDING);
    this.#backlog.unshift(...returned);
  }

  /** A child has nothing to do: it gets what waits for it, or is idle from now on. */
  #rest(child: Child): void {
    if (child.state.name === "ENDING") return;
    if (child.tasks >= this.#start.maxTasksPerChild) {
      this.#end(child);
    } else {
      child.state = { name: "IDLE" };
      this.#idle.push(child);
    }
    this.#feed();
    this.#onChange();
  }

  #hear(child: Child, message: Message): void {
    const { header } = message;
    switch (header[0]) {
      case "ready":
        if (!this.#isStarting(child, header)) return;
        if (header[1] !== VERSION) {
          this.#break({
            problem: `a child speaks version ${header[1]} of the protocol, and this program speaks ${VERSION}`,
          });
          return;
        }
        this.#failedStarts = 0;
        child.isReady = true;
        this.#rest(child);
        return;
      case "failed": {
        if (!this.#isStarting(child, header)) return;
        if (this.#start.initializer === undefined) throw unexpected(header);
        // The pool is broken by the initializer's error.
        this.#consumer.report(RecordType.INITIALIZER_FAILED, payloadOf(header[1], message));
        this.#endAll("SIGTERM");
        return;
      }
      case "begun":
        // It has answered all before, and can begin only the next one.
        if (!this.#start.replaces || child.given.length === 0 || header[1] !== child.nextId) throw unexpected(header);
        child.begunId = header[1];
        return;
      case "note":
        // What comes late is of no use.
        if (child.given.length > 0 && header[1] === child.nextId) {
          this.#consumer.progress(child.given[0], payloadOf(header[2], message));
        }
        return;
      case "results":
        this.#hearResults(child, header[1], payloadsOf(message));
        return;
      case "returned": {
        const [, first, last] = header;
        // It may have answered them all meanwhile, and been given others.
        if (last < child.nextId) return;
        if (
          !child.isTakingBack || !child.owesReturned || !Number.isInteger(first) ||
          !(first >= child.nextId && first <= last + 1 && last <= child.lastId)
        ) throw unexpected(header);
        child.owesReturned = false;
        this.#hearReturned(child, first);
        return;
      }
      case "free": {
        const [, last] = header;
        if (!(last <= child.lastId)) throw unexpected(header);
        // It may have been given others meanwhile, and those taken back, too.
        if (child.state.name === "AWAY" && last === child.lastId) this.#rest(child);
        return;
      }
      default:
        throw unexpected(header);
    }
  }

  /** Whether a child says what only one can say that is starting; `false` where nobody listens to that any more. */
  #isStarting({ state, isReady }: Child, header: readonly unknown[]): boolean {
    if (state.name === "STARTING") return true;
    if (state.name === "ENDING" && !isReady) return false;
    throw unexpected(header);
  }

  #hearResults(child: Child, firstId: number, results: ResultPayload[]): void {
    const { given } = child;
    // Whatever a child says, it can only settle the tasks that it was given, one after the other.
    if (firstId !== child.nextId || results.length === 0 || results.length > given.length) {
      throw unexpected(["results", firstId, results.length]);
    }
    const done = given.splice(0, results.length);
    child.nextId += done.length;
    for (const [i, { type, steps, payload }] of results.entries()) {
      this.#consumer.reply(done[i], type, payload, steps, false);
    }
    this.#consumer.ring();
    if (given.length > 0) {
      this.#consumer.setState(given[0], TaskState.RUNNING);
      return;
    }
    this.#learn(child, done.at(-1)!);
    this.#isDone(child);
  }

  /** A child has answered all that it was given and has begun. */
  #isDone(child: Child): void {
    child.nextId = child.lastId + 1;
    if (child.state.name === "ENDING") this.#end(child);
    else this.#rest(child);
  }

  /** Lets a child end when it has done what it does. */
  #end(child: Child): void {
    this.#forgetIdle(child);
    child.state = { name: "ENDING" };
    child.process.end();
  }

  #kill(child: Child, signal: Deno.Signal): void {
    this.#forgetIdle(child);
    child.state = { name: "ENDING", sent: signal };
    child.process.kill(signal);
  }

  #forgetIdle(child: Child): void {
    const at = this.#idle.indexOf(child);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  /** A child has ended. */
  #onChildExit(child: Child, death: Death): void {
    const { state } = child;
    this.#children.delete(child);
    this.#forgetIdle(child);
    const isExpected = state.name === "ENDING";
    const isStarting = state.name === "STARTING";
    // A Ctrl-C goes to all processes of the terminal, also to one that does not listen to it yet: it has run nothing.
    const isInterrupted = isStarting && death.signal === "SIGINT";
    const report: DeathReport = {
      ...death,
      during: isStarting ? "start" : child.given.length === 0 ? "idle" : "task",
      sent: state.name === "ENDING" ? state.sent : undefined,
      isAborted: child.isAborted,
      isSilent: child.isSilent,
      failedStarts: isStarting ? this.#failedStarts + 1 : 0,
    };
    if (this.#children.size === 0) {
      clearTimeout(this.#lastSignal);
      this.#lastSignal = undefined;
    }
    if (!isExpected && !isInterrupted && !this.#isEnding && !this.#start.replaces) {
      this.#break(report);
      return;
    }
    // The others had not begun. Those of a child that the pool has killed end with it.
    if (!isExpected && !this.#isEnding) this.#returnGiven(child, this.#mayHaveKilled(child) ? 1 : 0);
    for (const task of child.given) this.#consumer.reply(task, RecordType.LOST, jsonPayload(report));
    if (isStarting && !isInterrupted && !this.#isEnding) this.#failStart(report);
    if (this.#isEnding) this.#failBacklog(report);
    else this.#feed();
    this.#onChange();
  }

  /** What waits for a child gets none any more. */
  #failBacklog(report: DeathReport, tasks: readonly EncodedTask[] = [...this.#backlog]): void {
    for (const task of tasks) {
      this.#backlog.splice(this.#backlog.indexOf(task), 1);
      if (this.#consumer.start(task)) this.#consumer.reply(task, RecordType.LOST, jsonPayload(report));
    }
  }

  /**
   * Whether the first task of a dead child may have to do with its death. Not if it had not begun, because the child was dead already or about to be: but a
   * large one may be what it died of while it was receiving it; and so may one that has been with a dying child before.
   */
  #mayHaveKilled({ given: [task], begunId, nextId, isAborted }: Child): boolean {
    if (
      task === undefined || isAborted || begunId === nextId || task.payload.room > MAX_INLINE_BYTES ||
      this.#spared.has(task)
    ) {
      return true;
    }
    this.#spared.add(task);
    return false;
  }

  /** The pool is broken by a death, or a child that cannot be started: the other children are ended. */
  #break(report: DeathReport): void {
    this.#consumer.report(RecordType.BROKEN, jsonPayload(report));
    this.#endAll("SIGTERM");
  }

  #endAll(signal: Deno.Signal): void {
    this.#isEnding = true;
    for (const child of this.#children) this.#kill(child, signal);
    if (this.#children.size === 0) this.#failBacklog({ problem: "the pool is ending" });
    this.#killLater();
    this.#onChange();
  }

  /** Kills the children that have not ended a while later. */
  #killLater(): void {
    if (this.#children.size === 0) return;
    this.#lastSignal ??= setTimeout(() => {
      for (const child of this.#children) child.process.kill("SIGKILL");
    }, END_MS);
  }

  /** Ends all children, and says when they have gone and what they printed has been written. */
  async #stop(signal: Deno.Signal | undefined, progress: Int32Array | undefined): Promise<void> {
    this.#isEnding = true;
    this.#onChange();
    for (const child of this.#children) {
      const { name } = child.state;
      if (signal !== undefined) this.#kill(child, signal);
      else if (name === "IDLE" || name === "AWAY") this.#end(child);
      // Nobody waits for what it does.
      else if (name !== "ENDING") this.#kill(child, "SIGKILL");
    }
    this.#killLater();
    const { stdout, stderr } = this.#outputs;
    const report = setInterval(() => {
      if (progress !== undefined) Atomics.store(progress, 1, stdout.pending + stderr.pending > 0 ? 1 : 0);
    }, REPORT_MS);
    while (this.#children.size > 0) await this.#change();
    clearInterval(report);
    if (progress !== undefined) {
      Atomics.store(progress, 0, 1);
      Atomics.notify(progress, 0);
    }
    this.#consumer.report(RecordType.GONE);
  }
}

/** What kills a child that says what it cannot say now: a task has changed it. */
function unexpected(header: readonly unknown[]): Error {
  return new Error(`not now: ${JSON.stringify(header)}`);
}

const encoder = new TextEncoder();

function jsonPayload(value: unknown): EncodedSections {
  return new EncodedSections(Encoding.JSON, [encoder.encode(JSON.stringify(value))]);
}

function makeToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return bytes.toHex();
}

/** Tells kinds of work apart that take different times: the tasks of a function, and its chunks. */
function workOf({ fn, flags }: EncodedTask): number {
  return (flags & TaskFlag.CHUNK) === 0 ? fn : -1 - fn;
}

let broker: Broker | undefined;

self.addEventListener("message", (event) => {
  const { data } = event as MessageEvent<BrokerStart | ConsumerMessage>;
  if ("type" in data) broker!.receive(data);
  else {
    broker = new Broker(data);
    void broker.serve();
  }
});
