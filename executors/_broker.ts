/**
 * What the broker of a `ProcessPoolExecutor` runs: a Web Worker that takes tasks out of the pool's queue, starts children, gives each of
 * them one task at a time, and publishes what they answer. What it does when is told in README.md beside this file.
 *
 * @module
 */

import { EncodedBlock, Kind } from "./_block.ts";
import { ChildProcess, type Death } from "./_child_process.ts";
import {
  Consumer,
  type ConsumerMessage,
  type ConsumerStart,
  ENCODED,
  Flag,
  fromPosted,
  type Initializer,
  type Task,
} from "./_consumer.ts";
import { childArguments, type Launch } from "./_launch.ts";
import type { Definition } from "./_locate.ts";
import { Output } from "./_output.ts";
import { blockOf, type ChildSettings, type Message, VERSION } from "./_wire.ts";

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
    /** How many in a row died while they were starting. */
    failedStarts: number;
  }
  | { problem: string };

/** After so many children in a row that died while they were starting, the pool gives up. */
const MOST_FAILED_STARTS = 3;

/** How long children may take to end by themselves, in milliseconds. */
const END_MS = 2_000;

/**
 * What a child is doing. STARTING until it has said that it is ready, then IDLE and BUSY in turn; ENDING when its input was ended or it was sent a
 * signal. Any of them ends with the process.
 */
type ChildState =
  | { readonly name: "STARTING" | "IDLE" }
  | { readonly name: "BUSY"; readonly task: EncodedTask }
  | { readonly name: "ENDING"; readonly task?: EncodedTask; readonly sent?: Deno.Signal };

/** How often the end of the program hears whether output is still being written, in milliseconds. */
const REPORT_MS = 100;

type EncodedTask = Task<EncodedBlock>;

interface Child {
  readonly process: ChildProcess;
  readonly index: number;
  state: ChildState;
  /** How many tasks it was given; also the number of the last one. */
  tasks: number;
  /** Which functions it knows. */
  readonly defined: Set<number>;
  /** The modules that it can import; all where it may read. */
  readonly modules: ReadonlySet<string> | undefined;
}

class Broker {
  readonly #start: BrokerStart;
  readonly #consumer: Consumer<EncodedBlock>;
  readonly #outputs = { stdout: new Output(Deno.stdout), stderr: new Output(Deno.stderr) };
  readonly #children = new Set<Child>();
  /** Those that are idle, the last one on top: its caches are the warmest. */
  readonly #idle: Child[] = [];
  /** Tasks for children that are starting; at most one for each of them. Still pending: they can be cancelled. */
  readonly #backlog: EncodedTask[] = [];
  /** All modules that tasks came from. */
  readonly #modules = new Set<string>();
  #started = 0;
  #failedStarts = 0;
  /** Whether no more children are started: the pool is broken, or was told to end. */
  #isEnding = false;
  #onChange = () => {};

  constructor(start: BrokerStart) {
    this.#start = start;
    this.#consumer = new Consumer(start, ENCODED);
  }

  async serve(): Promise<void> {
    const consumer = this.#consumer;
    await consumer.begin();
    while (!this.#isEnding) {
      if (this.#idle.length === 0 && !this.#mayStart()) {
        await this.#change();
        continue;
      }
      let task = consumer.take();
      if (task === undefined) {
        await consumer.rest(this.#idle.length === this.#children.size);
        continue;
      }
      if (task instanceof Promise) task = await task;
      const definition = consumer.knownDefinition(task.fn) ?? await consumer.definition(task.fn);
      if (this.#isEnding) return;
      this.#learn(definition);
      const child = this.#idle.pop();
      if (child !== undefined && canImport(child, definition)) {
        this.#give(child, task);
        continue;
      }
      this.#backlog.push(task);
      if (child === undefined) this.#startChild();
      else this.#replace(child);
    }
  }

  receive(message: ConsumerMessage): void {
    switch (message.type) {
      case "stop":
        void this.#stop(message.signal, message.progress);
        break;
      case "kill":
        this.#isEnding = true;
        for (const child of this.#children) this.#kill(child, message.signal);
        this.#onChange();
        break;
      default:
        this.#consumer.receive(message);
    }
  }

  /** Resolves when a child has become idle or has gone. */
  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#onChange = resolve);
  }

  #mayStart(): boolean {
    let live = 0;
    for (const { state } of this.#children) if (state.name !== "ENDING") live++;
    return live < this.#start.maxWorkers;
  }

  #learn(definition: Definition): void {
    for (const url of modulesOf(definition)) this.#modules.add(url);
  }

  // Children

  #startChild(): void {
    const { launch, initializer, name } = this.#start;
    if (initializer !== undefined) this.#learn(this.#consumer.knownDefinition(initializer.fn)!);
    const token = makeToken();
    const index = this.#started++;
    let child: Child;
    try {
      const modules = launch.canRead ? undefined : new Set(this.#modules);
      const process = new ChildProcess(
        launch.deno,
        { args: childArguments(launch, modules ?? []), cwd: launch.cwd, env: launch.env },
        token,
        this.#outputs,
        { message: (message) => this.#hear(child, message), ended: (death) => this.#bury(child, death) },
      );
      child = { process, index, state: { name: "STARTING" }, tasks: 0, defined: new Set(), modules };
    } catch (error) {
      this.#break({ problem: error instanceof Error ? error.message : String(error) });
      return;
    }
    this.#children.add(child);
    const settings: ChildSettings = {
      version: VERSION,
      token,
      name: `${name}_${index}`,
      hasInitializer: initializer !== undefined,
      canRead: launch.canRead,
      mainModule: launch.mainModule,
    };
    child.process.send(["start", settings]);
    if (initializer === undefined) return;
    const { fn, block } = initializer;
    this.#define(child, fn);
    const encoded = EncodedBlock.from(fromPosted(block));
    child.process.send(["initialize", fn, encoded.kind], encoded);
  }

  #define(child: Child, fn: number): void {
    if (child.defined.has(fn)) return;
    child.defined.add(fn);
    child.process.send(["define", fn, this.#consumer.knownDefinition(fn)]);
  }

  /** Gives a task to a child that is idle. */
  #give(child: Child, task: EncodedTask): void {
    if (!this.#consumer.start(task)) {
      this.#rest(child);
      return;
    }
    child.state = { name: "BUSY", task };
    this.#define(child, task.fn);
    const { fn, flags, block } = task;
    child.process.send(["task", ++child.tasks, fn, flags, block.kind], block);
  }

  /** A child has nothing to do: it gets a task that waits for it, or is idle from now on. */
  #rest(child: Child): void {
    if (child.state.name === "ENDING") return;
    if (child.tasks >= this.#start.maxTasksPerChild) {
      this.#end(child);
    } else {
      child.state = { name: "IDLE" };
      const [task] = this.#backlog;
      if (task === undefined) {
        this.#idle.push(child);
      } else if (canImport(child, this.#consumer.knownDefinition(task.fn)!)) {
        this.#backlog.shift();
        this.#give(child, task);
        return;
      } else {
        this.#replace(child);
      }
    }
    this.#onChange();
  }

  /** Puts a child that can import all modules in the place of one that cannot. */
  #replace(child: Child): void {
    this.#end(child);
    this.#startChild();
  }

  #hear(child: Child, message: Message): void {
    const { header } = message;
    switch (header[0]) {
      case "ready":
        if (header[1] !== VERSION) {
          this.#break({
            problem: `a child speaks version ${header[1]} of the protocol, and this program speaks ${VERSION}`,
          });
          return;
        }
        this.#failedStarts = 0;
        this.#rest(child);
        return;
      case "failed":
        this.#end(child);
        // The pool is broken by the initializer's error.
        this.#consumer.fail(blockOf(header[1], message), Flag.ERROR);
        this.#endAll("SIGTERM");
        return;
      case "result": {
        const { state } = child;
        // Whatever a child says, it can only settle the task that it was given.
        if (header[1] !== child.tasks || !("task" in state) || state.task === undefined) {
          child.process.kill("SIGKILL");
          return;
        }
        const [, , flags, kind] = header;
        this.#consumer.reply(state.task, flags & Flag.ERROR, blockOf(kind, message));
        if (state.name === "ENDING") this.#end(child);
        else this.#rest(child);
      }
    }
  }

  /** Lets a child end when it has done what it does. */
  #end(child: Child): void {
    this.#forgetIdle(child);
    child.state = { name: "ENDING" };
    child.process.end();
  }

  #kill(child: Child, signal: Deno.Signal): void {
    const { state } = child;
    this.#forgetIdle(child);
    child.state = { name: "ENDING", task: "task" in state ? state.task : undefined, sent: signal };
    child.process.kill(signal);
  }

  #forgetIdle(child: Child): void {
    const at = this.#idle.indexOf(child);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  /** A child has ended. */
  #bury(child: Child, death: Death): void {
    const { state } = child;
    this.#children.delete(child);
    this.#forgetIdle(child);
    const task = "task" in state ? state.task : undefined;
    const report: DeathReport = {
      ...death,
      during: state.name === "STARTING" ? "start" : task === undefined ? "idle" : "task",
      sent: state.name === "ENDING" ? state.sent : undefined,
      failedStarts: state.name === "STARTING" ? this.#failedStarts + 1 : 0,
    };
    const isExpected = state.name === "ENDING";
    if (!isExpected && !this.#isEnding && !this.#start.replaces) {
      this.#break(report);
      return;
    }
    if (task !== undefined) this.#consumer.reply(task, Flag.ERROR | Flag.DIED, jsonBlock(report));
    if (state.name === "STARTING" && !this.#isEnding) {
      if (++this.#failedStarts >= MOST_FAILED_STARTS) {
        this.#break(report);
        return;
      }
      if (this.#backlog.length > 0) this.#startChild();
    }
    this.#onChange();
  }

  /** The pool is broken by a death, or a child that cannot be started: the other children are ended. */
  #break(report: DeathReport): void {
    this.#consumer.fail(jsonBlock(report), Flag.ERROR | Flag.DIED);
    this.#endAll("SIGTERM");
  }

  #endAll(signal: Deno.Signal): void {
    this.#isEnding = true;
    for (const child of this.#children) this.#kill(child, signal);
    this.#onChange();
  }

  /** Ends all children, and says when they have gone and what they printed has been written. */
  async #stop(signal: Deno.Signal | undefined, progress: Int32Array | undefined): Promise<void> {
    this.#isEnding = true;
    this.#onChange();
    for (const child of this.#children) {
      const { name } = child.state;
      if (signal !== undefined) this.#kill(child, signal);
      else if (name === "IDLE") this.#end(child);
      // Nobody waits for what it does.
      else if (name !== "ENDING") this.#kill(child, "SIGKILL");
    }
    const last = setTimeout(() => {
      for (const child of this.#children) child.process.kill("SIGKILL");
    }, END_MS);
    const { stdout, stderr } = this.#outputs;
    const report = setInterval(() => {
      if (progress !== undefined) Atomics.store(progress, 1, stdout.pending + stderr.pending > 0 ? 1 : 0);
    }, REPORT_MS);
    while (this.#children.size > 0) await this.#change();
    clearTimeout(last);
    clearInterval(report);
    if (progress !== undefined) {
      Atomics.store(progress, 0, 1);
      Atomics.notify(progress, 0);
    }
    this.#consumer.fail(jsonBlock(null), Flag.GONE);
  }
}

const encoder = new TextEncoder();

function jsonBlock(value: unknown): EncodedBlock {
  return new EncodedBlock(Kind.JSON, [encoder.encode(JSON.stringify(value))]);
}

function makeToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return bytes.toHex();
}

function modulesOf(definition: Definition): readonly string[] {
  switch (definition.how) {
    case "reference":
      return [definition.module];
    case "search":
      return definition.modules;
    case "source":
      return [];
  }
}

function canImport({ modules }: Child, definition: Definition): boolean {
  return modules === undefined || modulesOf(definition).every((url) => modules.has(url));
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
