/**
 * What a child of a `ProcessPoolExecutor` runs.
 *
 * @module
 */

import { performance } from "../../../futures/builtins.ts";
import { EncodedSections } from "../../_values/encoded.ts";
import type { Definition } from "../../_functions/definition.ts";
import { importModule } from "../../_functions/import.ts";
import { answersFor } from "./_answers.ts";
import { isolate } from "./_isolation.ts";
import { Outbox } from "./_outbox.ts";
import type { Import } from "../../_functions/resolve.ts";
import { endProcess, runFor, type Runner, type RunnerTask, turn, TURN_MS } from "../../_runner/runner.ts";
import { Stdin } from "./_stdin.ts";
import { beginTask, createTurns } from "./_turns.ts";
import { type ChildSettings, type Message, MessageReader, payloadOf, PayloadReader, VERSION } from "../messages.ts";
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
  const stdin = new Stdin(answersFor(outbox, turns), () => endProcess(0));
  const child = new Child(turns, outbox, imports);
  try {
    for (;;) {
      await stdin.wait();
      stdin.read((bytes) => child.reader.push(bytes));
      await child.work();
      child.runner?.prepareForUnhandledErrors();
    }
  } catch (error) {
    // Else a failure would count as an unhandled error of some task, and the process would answer nothing any more.
    cannotGoOn(error);
  }
}

/** Kept, because a task may have replaced it. */
const { error: printError } = console;

function cannotGoOn(error: unknown): never {
  printError("A task changed built-in objects that its process needs, or read its standard input:", error);
  return endProcess(1);
}

interface ChildTask extends RunnerTask {
  readonly id: number;
}

interface EncodedTask {
  readonly id: number;
  readonly fn: number;
  readonly flags: number;
  readonly encoded: EncodedSections;
}

class Child {
  readonly #turns: Int32Array;
  readonly #imports: Imports;
  readonly #definitions: Definition[] = [];
  readonly #messages: Message[] = [];
  readonly reader = new MessageReader((message) => this.#messages.push(message));
  readonly #write: (bytes: Uint8Array) => void;
  readonly #outbox: Outbox;
  #announces = false;
  #turnEnds = 0;
  /** Made by the first message. */
  runner: Runner | undefined;

  constructor(turns: Int32Array, outbox: Outbox, imports: Imports) {
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
      case "initialize":
        return this.#initialize(header[1], payloadOf(header[2], message));
      case "tasks": {
        const payloads = new PayloadReader(message);
        const tasks = header[2].map(([fn, flags, encoding, count], i) => {
          return { id: header[1] + i, fn, flags, encoded: payloads.next(encoding, count) };
        });
        return this.#runAll(tasks, 0);
      }
      case "recall":
        // The reading thread has said which tasks had not begun. Nothing of a task's comes before the next one now.
        this.#outbox.say(["free", header[1]]);
        return undefined;
      case "probe":
        // The reading thread has answered it.
        return undefined;
      default:
        throw new Error(`Unreachable: a child was sent ${JSON.stringify(header)}`);
    }
  }

  /** Runs tasks, from one of them on; returns a promise when that takes more than this turn. */
  #runAll(tasks: readonly EncodedTask[], from: number): Promise<void> | undefined {
    for (let i = from; i < tasks.length; i++) {
      const busy = this.#run(tasks[i]) ?? this.#yield();
      if (busy === undefined) continue;
      this.#outbox.flush();
      return busy.then(() => this.#runAll(tasks, i + 1));
    }
    this.#outbox.flush();
    return undefined;
  }

  #run({ id, fn, flags, encoded }: EncodedTask): Promise<void> | undefined {
    if (!beginTask(this.#turns, id)) return undefined;
    if (this.#announces) this.#outbox.say(["begun", id]);
    const task: ChildTask = { id, fn, flags, payload: encoded.decoded() };
    return this.runner!.runTask(task);
  }

  #start({ version, token, name, hasInitializer, announces, mainModule }: ChildSettings): void {
    this.#announces = announces;
    this.#outbox.open(new PacketWriter(token, this.#write));
    // As in a thread: the program's, not the one that only begins this process.
    Object.defineProperty(Deno, "mainModule", { value: mainModule });
    this.runner = runFor<ChildTask>({
      name,
      sameProcess: false,
      definition: (fn) => this.#definitions[fn],
      import: (url, options) => this.#imports[url]?.(url, options) ?? importModule(url, options),
      reply: ({ id }, type, payload, steps, isFree) => {
        this.#outbox.add(id, type, payload, steps);
        // Something of the task's may come before the next one, and take long.
        if (!isFree) this.#outbox.flush();
      },
      progress: ({ id }, payload) =>
        this.#outbox.say(["progress", id, payload.encoding], EncodedSections.from(payload)),
      abandonWorker: cannotGoOn,
    });
    if (version !== VERSION || !hasInitializer) this.#outbox.say(["ready", VERSION]);
  }

  async #initialize(fn: number, payload: EncodedSections): Promise<void> {
    const failure = await this.runner!.initialize(fn, payload.decoded());
    if (failure === undefined) this.#outbox.say(["ready", VERSION]);
    else this.#outbox.say(["failed", failure.encoding], EncodedSections.from(failure));
  }

  /** Between two tasks: gives the event loop a turn now and then. */
  #yield(): Promise<void> | undefined {
    const now = performance.now();
    if (now < this.#turnEnds) return undefined;
    this.#turnEnds = now + TURN_MS;
    return turn();
  }
}
