/**
 * What a child of a `ProcessPoolExecutor` runs.
 *
 * @module
 */

import { Atomics, performance, sharedNow } from "../../../futures/builtins.ts";
import { ensureStack, LOADING } from "../../../futures/stack.ts";
import { EMPTY, type Encoded, EncodedSections } from "../../_values/encoded.ts";
import type { Definition } from "../../_functions/definition.ts";
import { importModule } from "../../_functions/import.ts";
import { answersFor } from "./_answers.ts";
import { isolate } from "./_isolation.ts";
import { Outbox } from "./_outbox.ts";
import type { Import } from "../../_functions/resolve.ts";
import { TaskFlag, type TaskLimits } from "../../_queue/protocol.ts";
import { endProcess, runFor, type Runner, type RunnerTask, turn, TurnClock } from "../../_runner/runner.ts";
import { createNoted, SignalTable } from "./_signals.ts";
import { Stdin } from "./_stdin.ts";
import { beginTask, createTurns, isStopped, nextStop } from "./_turns.ts";
import {
  type ChildSettings,
  forEachEntry,
  type Message,
  MessageReader,
  payloadOf,
  PayloadReader,
  UNREADABLE_CODE,
  VERSION,
} from "../messages.ts";
import { PacketWriter } from "../packets.ts";

/**
 * How modules are imported that the child may not read by itself: written out in its main module, they need no
 * permission.
 */
export type Imports = { [url: string]: Import };

/** Serves tasks until the standard input ends, and the process with it. */
export async function serve(imports: Imports): Promise<never> {
  const outbox = new Outbox();
  const turns = createTurns();
  const noted = createNoted();
  const stdin = new Stdin(answersFor(outbox, turns, noted), () => endProcess(0));
  const child = new Child(turns, outbox, imports, new SignalTable(noted), stdin);
  try {
    for (;;) {
      try {
        await stdin.next(child.take);
      } catch (error) {
        cannotGoOn(error, UNREADABLE_CODE);
      }
      await child.work();
      // Where no other task comes, nothing has to be told apart.
      if (stdin.isAttended) child.runner?.prepareForUnhandledErrors();
    }
  } catch (error) {
    // Else a failure would count as an unhandled error of some task, and the process would answer nothing any more.
    cannotGoOn(error);
  }
}

/** Kept, because a task may have replaced it. */
const { error: printError } = console;
const { memoryUsage } = Deno;

/** How long it may take to load the function of a first task before a thread attends to the input, in milliseconds. */
const LOAD_MS = 100;

/** How often the memory is measured, at the most, in milliseconds: that takes some hundredths of one. */
const MEASURE_MS = 1;

function cannotGoOn(error: unknown, code = 1): never {
  printError("A task changed built-in objects that its process needs, or read its standard input:", error);
  return endProcess(code);
}

interface ChildTask extends RunnerTask {
  readonly id: number;
  /** How long it may run, where it has a timeout. */
  readonly limits: TaskLimits | undefined;
  /** The numbers of the signals among its arguments. */
  readonly signals: readonly number[];
  readonly encoded: EncodedSections;
  /** Decoded when it begins. */
  payload: Encoded;
  /** When it began, where that is measured. */
  began: number | undefined;
}

const NO_SIGNALS: readonly number[] = [];

class Child {
  readonly #turns: Int32Array;
  readonly #imports: Imports;
  readonly #signals: SignalTable;
  readonly #definitions: Definition[] = [];
  readonly #bound = new Map<number, { places: number[]; encoded: EncodedSections }>();
  readonly #messages: Message[] = [];
  readonly #reader = new MessageReader((message) => this.#messages.push(message));
  readonly #stdin: Stdin;
  /** Takes in a piece of the input. */
  readonly take = (bytes: Uint8Array): void => this.#reader.push(bytes);
  readonly #write: (bytes: Uint8Array) => void;
  readonly #outbox: Outbox;
  #announces = false;
  /** How much memory this process may hold after a task, when that was measured last, and whether it holds more. */
  #maxMemory: number | undefined;
  #measuredAt = -Infinity;
  #isFull = false;
  readonly #clock = new TurnClock();
  /** Goes on until the process ends. */
  #listening: Promise<never> | undefined;
  /** Made by the first message. */
  runner: Runner | undefined;

  constructor(turns: Int32Array, outbox: Outbox, imports: Imports, signals: SignalTable, stdin: Stdin) {
    this.#stdin = stdin;
    this.#signals = signals;
    this.#turns = turns;
    this.#outbox = outbox;
    this.#imports = imports;
    this.#write = isolate(() => outbox.flush());
  }

  /** Does what has been received. */
  async work(): Promise<void> {
    for (let message = this.#messages.shift(); message !== undefined; message = this.#messages.shift()) {
      const busy = this.#handle(message);
      if (busy !== undefined) await busy;
    }
  }

  #handle(message: Message): Promise<void> | undefined {
    const { header } = message;
    switch (header[0]) {
      case "start":
        this.#start(header[1]);
        return undefined;
      case "define":
        this.#definitions[header[1]] = header[2] as Definition;
        return undefined;
      case "bind":
        this.#bound.set(header[1], { places: header[2], encoded: payloadOf(header[3], message) });
        return undefined;
      case "unbind":
        this.#bound.delete(header[1]);
        this.runner!.forget(header[1]);
        return undefined;
      case "initialize":
        return this.#initialize(header[1], payloadOf(header[2], message));
      case "tasks": {
        // What it takes to run them may be missing.
        if (header[2] !== message.from) this.#lose();
        const payloads = new PayloadReader(message);
        const tasks: ChildTask[] = [];
        forEachEntry(header[3], Infinity, (entry) => {
          const limits = entry.length > 4 ? entry[4] ?? undefined : undefined;
          const signals = entry.length > 5 ? entry[5]! : NO_SIGNALS;
          const encoded = payloads.next(entry[2], entry[3]);
          // Now: what is told of them comes at any time.
          if (signals !== NO_SIGNALS) encoded.shared = this.#signals.enter(signals);
          tasks.push({
            id: header[1] + tasks.length,
            fn: entry[0],
            flags: entry[1],
            limits,
            signals,
            encoded,
            payload: EMPTY,
            began: undefined,
          });
        });
        return this.#runAll(tasks, 0);
      }
      case "recall":
        // The reading thread has said which tasks had not begun. Nothing of a task's comes before the next one now.
        this.#outbox.say(["free", header[1]]);
        return undefined;
      case "attend":
        this.#attend();
        return undefined;
      case "signal":
        this.#signals.hear(header[1], header[2]);
        return undefined;
      case "abort":
      case "probe":
        // Who has read it first has answered it.
        return undefined;
      default:
        throw new Error(`Unreachable: a child was sent ${JSON.stringify(header)}`);
    }
  }

  /** Runs tasks, from one of them on; returns a promise when that takes more than this turn. */
  #runAll(tasks: readonly ChildTask[], from: number): Promise<void> | undefined {
    for (let i = from; i < tasks.length; i++) {
      const busy = this.#run(tasks[i]) ?? this.#yield();
      if (busy === undefined) continue;
      this.#outbox.flush();
      return busy.then(() => this.#runAll(tasks, i + 1));
    }
    this.#outbox.flush();
    return undefined;
  }

  #run(task: ChildTask): Promise<void> | undefined {
    const { id, flags, encoded, signals } = task;
    if (!beginTask(this.#turns, id)) {
      this.#signals.leave(signals);
      return undefined;
    }
    // Who is told to end while it computes has to be attended to.
    if (signals !== NO_SIGNALS || (flags & TaskFlag.SIGNAL) !== 0) this.#attend();
    if (this.#announces) this.#outbox.say(["begun", id]);
    if ((flags & TaskFlag.MEASURED) !== 0) task.began = sharedNow();
    task.payload = encoded.decoded();
    encoded.giveBack();
    if (signals !== NO_SIGNALS) task.payload.shared = encoded.shared;
    const busy = this.runner!.runTask(task);
    return busy === undefined || this.#stdin.isAttended ? busy : this.#attendSoon(busy);
  }

  /** What a task has to wait for may take long: it has to hear meanwhile that it is to end. */
  async #attendSoon(busy: Promise<void>): Promise<void> {
    const word = new Int32Array(new SharedArrayBuffer(4));
    // Not a timer: to look at those alone takes milliseconds.
    const wait = Atomics.waitAsync(word, 0, 0, LOAD_MS);
    if (wait.async) void wait.value.then((outcome) => outcome === "timed-out" && this.#attend());
    await busy;
    Atomics.notify(word, 0);
  }

  /** Somebody else has read a part of the input. */
  #lose(): never {
    this.#stdin.sayLost();
    return cannotGoOn(new RangeError("A part of the input is missing"), UNREADABLE_CODE);
  }

  /** Has a thread attend to the input from now on, if none does. */
  #attend(): void {
    if (this.#stdin.attend(this.take)) this.#outbox.say(["attended"]);
  }

  #start(settings: ChildSettings): void {
    const { version, token, name, hasInitializer, announces, maxMemory, mainModule } = settings;
    if (settings.isAttended) this.#stdin.attend(this.take);
    this.#announces = announces;
    this.#maxMemory = maxMemory;
    this.#outbox.open(new PacketWriter(token, this.#write));
    // As in a thread: the program's, not the one that only begins this process.
    Object.defineProperty(Deno, "mainModule", { value: mainModule });
    this.runner = runFor<ChildTask>({
      name,
      sameProcess: false,
      definition: (fn) => this.#definitions[fn],
      boundTo: (fn) => this.#boundTo(fn),
      import: (url, options) => this.#imports[url]?.(url, options) ?? importModule(url, options),
      reply: ({ id, signals, began }, type, payload, steps, isFree) => {
        if (signals !== NO_SIGNALS) this.#signals.leave(signals);
        if (this.#maxMemory !== undefined) this.#measureMemory(this.#maxMemory);
        this.#outbox.add(id, type, payload, steps, began === undefined ? undefined : [began, sharedNow() - began]);
        // Something of the task's may come before the next one, and take long.
        if (!isFree) this.#outbox.flush();
      },
      progress: ({ id }, payload) => {
        const sections = EncodedSections.from(payload);
        // A task calls this: an overflow of its stack in the midst of that would keep the lock of the outbox.
        ensureStack(LOADING);
        this.#outbox.say(["progress", id, payload.encoding], sections);
      },
      limitsOf: ({ limits }) => limits!,
      onCall: ({ id }) => this.#outbox.say(["called", id]),
      isStopping: ({ id }) => isStopped(this.#turns, id),
      listenForStops: () => {
        // A task may ask for its signal where its stack ends.
        if (this.#listening === undefined) ensureStack(LOADING);
        this.#attend();
        this.#listening ??= this.#listenForStops();
      },
      // Its main thread may do anything now, and yet has to hear that the task is to end.
      onPending: () => this.#attend(),
      endsStopped: false,
      abandonWorker: (error) => cannotGoOn(error),
    });
    if (version !== VERSION || !hasInitializer) this.#outbox.say(["ready", VERSION]);
  }

  #boundTo(fn: number): { places: number[]; payload: Encoded } | undefined {
    const bound = this.#bound.get(fn);
    return bound && { places: bound.places, payload: bound.encoded.decoded() };
  }

  /** Says before the result of a task that this process holds more memory than it may: it shall get no other task. */
  #measureMemory(most: number): void {
    if (this.#isFull) return;
    const now = performance.now();
    // It takes longer to fill much memory.
    if (now - this.#measuredAt < MEASURE_MS) return;
    this.#measuredAt = now;
    if (memoryUsage().rss <= most) return;
    this.#isFull = true;
    this.#outbox.say(["full"]);
  }

  async #initialize(fn: number, payload: EncodedSections): Promise<void> {
    const failure = await this.runner!.initialize(fn, payload.decoded());
    if (failure === undefined) this.#outbox.say(["ready", VERSION]);
    else this.#outbox.say(["failed", failure.encoding], EncodedSections.from(failure));
  }

  /** Tells tasks that await something that they are to end. */
  async #listenForStops(): Promise<never> {
    for (let seen = -1;;) {
      seen = await nextStop(this.#turns, seen);
      const id = seen;
      this.runner!.onStop((task) => (task as ChildTask).id === id, 0);
    }
  }

  /** Between two tasks: gives the event loop a turn now and then. */
  #yield(): Promise<void> | undefined {
    if (!this.#clock.isOver) return undefined;
    this.#clock.begin();
    return turn();
  }
}
