/**
 * Writes values that JSON cannot say, in the form of `_graph_format.ts`. No function here calls itself for what is
 * nested, so neither depth nor cycles matter.
 *
 * @module
 */

import { SerializationError } from "../../futures/errors.ts";
import { isExit } from "../../futures/task_exit.ts";
import { Buffers, type Objects, type Repeat } from "./_buffers.ts";
import { Encoded, Encoding } from "./encoded.ts";
import { Faults, type LeftOut, type Step } from "./_faults.ts";
import { FIRST, GraphFlag, Special } from "./_graph_format.ts";
import { jsonOf } from "./json.ts";
import { describeExtra, describeFunction, describeRefused, fix, textOfThrown } from "./_refusal.ts";
import { partsOf } from "./shared_objects.ts";
import { memoryOf } from "./signals.ts";
import { Code, typeOf, TYPES, type Writer } from "./_types.ts";
import { Transfer } from "../transfer.ts";

/** Where a value comes from, and whether it stays in the process. */
export interface EncodeOptions {
  /**
   * What paths call the value. An `error` is what a task threw: it arrives without the properties that cannot cross.
   * All else is refused as a whole.
   */
  root: "args" | "result" | "error" | "progress" | "item";
  /** Whether the receiver is a thread of the same process, so that memory can be shared, and ports can move. */
  sameProcess: boolean;
  /** Whether the items of lists are made anew each time that the receiver wants them. */
  areItemsMadeAnew?: boolean;
  /** Whether it is stored in memory that threads of the process share: nothing in it is shared or moves by itself. */
  isStored?: boolean;
  /** The name of the task that it belongs to, for messages. */
  task?: string;
  /** Whether signals cross: somebody tells the receiver when they are aborted. */
  signals?: boolean;
}

/** A text of this length or more is written once, however often it occurs. */
const LONG_TEXT = 64;

/** The deepest value that most functions can go through which call themselves for what is nested. */
const MAX_DEPTH = 10_000;

const UNDEFINED = [Special.UNDEFINED];

/**
 * Encodes any value.
 *
 * @param lists The lists in it whose items share nothing when they arrive, as if each were sent alone.
 * @throws {SerializationError} Something in it cannot cross.
 */
export function encodeGraph(value: unknown, options: EncodeOptions, lists: readonly unknown[][] = []): Encoded {
  const leftOut: LeftOut = new Map();
  for (;;) {
    const payload = new GraphWriter(options, lists, leftOut).encode(value);
    // Else one more property of an error cannot cross.
    if (payload !== undefined) return payload;
  }
}

/** Writes one value. */
class GraphWriter implements Writer, Objects {
  readonly #options: EncodeOptions;
  readonly #lists: readonly unknown[][];
  readonly #leftOut: LeftOut;
  readonly #text: unknown[] = [0, null];
  #flags = 0;
  /** All objects, and for each the way to it that was found first, its depth, and its item. */
  readonly things: unknown[] = [];
  readonly #indexes = new Map<unknown, number>();
  readonly #parents: number[] = [];
  readonly #steps: Step[] = [];
  readonly #depths: number[] = [];
  readonly items: number[] = [];
  #written = 0;
  #item = 0;
  /** Made for the first buffer: most values have none. */
  #buffers: Buffers | undefined;
  readonly #shared: SharedArrayBuffer[] = [];
  /** What moves and is no buffer. */
  readonly #ports = new Map<unknown, number>();
  readonly #repeats: Repeat[] = [];
  readonly #faults: Faults | undefined;
  #refusal: SerializationError | undefined;

  constructor(options: EncodeOptions, lists: readonly unknown[][], leftOut: LeftOut) {
    this.#options = options;
    this.#lists = lists;
    this.#leftOut = leftOut;
    if (options.root === "error") this.#faults = new Faults();
    if (options.areItemsMadeAnew) this.#text[0] = this.#flags |= GraphFlag.APART;
  }

  get isThrown(): boolean {
    return this.#options.root === "error";
  }

  /** `undefined` when more must be left out than was known before. */
  encode(value: unknown): Encoded | undefined {
    this.#text[1] = this.slot(value, -1, "");
    this.#writeAll();
    if (this.#buffers !== undefined) this.#placeViews(this.#buffers);
    if (this.#faults === undefined || this.#faults.isEmpty) return this.#finish();
    const { path, reason } = this.#faults.leaveOut(this.#leftOut, {
      errorAt: (index) => this.codeOf(index) === Code.ERROR ? this.things[index] : undefined,
      stepText: (parent, step) => this.#stepText(parent, step),
    }) ?? {};
    if (path !== undefined) throw this.#error(path, reason!);
    return undefined;
  }

  #placeViews(buffers: Buffers): void {
    buffers.showAgain(this.#repeats);
    for (const index of buffers.views) {
      this.#item = this.items[index];
      buffers.placeView(index, (buffer) => this.slot(buffer, index, "buffer"));
      this.#writeAll();
    }
  }

  #finish(): Encoded {
    const { root } = this.#options;
    let text: string;
    try {
      text = jsonOf(this.#text);
    } catch (error) {
      throw this.#error(root, `it is too long: ${textOfThrown(error)}`, error);
    }
    try {
      // Last, when nothing can be refused any more: what moves is gone for the caller.
      const clone = this.#ports.size === 0 ? undefined : movedAway([...this.#ports.keys()] as Transferable[]);
      const encoding = clone === undefined ? Encoding.GRAPH : Encoding.CLONE;
      return new Encoded(encoding, text, 0, this.#buffers?.take(), this.#shared, clone);
    } catch (error) {
      throw this.#error(root, textOfThrown(error instanceof Error ? error.message : error), error);
    }
  }

  // ---- values ------------------------------------------------------------------------------------------------------

  slot(value: unknown, parent: number, step: Step): unknown {
    switch (typeof value) {
      case "string":
        return value.length < LONG_TEXT ? value : this.#refer(value, parent, step);
      case "boolean":
        return value;
      case "number":
        if (Number.isFinite(value)) return Object.is(value, -0) ? [Special.MINUS_ZERO] : value;
        if (Number.isNaN(value)) return [Special.NAN];
        return [value > 0 ? Special.INFINITY : Special.MINUS_INFINITY];
      case "undefined":
        return UNDEFINED;
      case "bigint":
        return [`${value}`];
      case "symbol": {
        const send = this.#options.root === "result" ? "return" : "send";
        return this.refuseAt(parent, step, `a symbol. To fix it, ${send} a string instead`);
      }
      case "function":
        return this.refuseAt(parent, step, describeFunction(value, this.#options));
      default:
        return value === null ? null : this.#refer(value as object, parent, step);
    }
  }

  read(thing: object, key: Step, parent: number): unknown {
    let value: unknown;
    try {
      value = (thing as { [key: Step]: unknown })[key];
    } catch (error) {
      if (isExit(error)) throw error;
      return this.refuseAt(parent, key, `its getter throws: ${textOfThrown(error)}`);
    }
    return this.slot(value, parent, key);
  }

  readItems(list: unknown[], slots: unknown[], at: number): void {
    const isApart = this.#isList(list);
    for (let i = 0; i < list.length; i++) {
      if (isApart) this.#item++;
      slots.push(this.read(list, i, at));
      if (isApart) this.#writeAll();
    }
  }

  #isList(thing: unknown): boolean {
    return this.#lists.includes(thing as unknown[]);
  }

  #refer(thing: object | string, parent: number, step: Step): unknown {
    if (typeof thing === "object" && Transfer.is(thing)) {
      return this.#unwrap(thing, parent, step) ? this.slot(thing.value, parent, step) : null;
    }
    let index = this.#indexes.get(thing);
    if (index === undefined) {
      const depth = parent === -1 ? 0 : this.#depths[parent] + 1;
      if (depth > MAX_DEPTH) return this.refuseAt(parent, step, TOO_DEEP);
      index = this.things.push(thing) - 1;
      this.#indexes.set(thing, index);
      this.#parents.push(parent);
      this.#steps.push(step);
      this.#depths.push(depth);
      this.items.push(this.#item);
    } else if (this.items[index] !== this.#item) this.#shareWithItem(index, parent, step);
    this.#faults?.refer(parent, step, index);
    return [index];
  }

  /** Two items refer to the same object, so the receiver must make it for each. */
  #shareWithItem(index: number, parent: number, step: Step): void {
    const code = this.codeOf(index);
    if (code === Code.TEXT || code === Code.SHARED || code === Code.OBJECT_IN_MEMORY) return;
    this.#repeats.push({ index, parent, step, item: this.#item });
    this.#text[0] = this.#flags |= GraphFlag.APART;
  }

  /** Takes note of what moves with a value; `false` when that is refused. */
  #unwrap({ list }: Transfer, parent: number, step: Step): boolean {
    const { root, sameProcess } = this.#options;
    for (const item of list) {
      if (item instanceof ArrayBuffer) (this.#buffers ??= new Buffers(this)).move(item);
      else if (!sameProcess || this.#options.isStored) {
        this.refuseAt(parent, step, "transfer() can move only buffers there");
        return false;
      } else if (parent === -1 || (root === "args" && parent === 0) || this.#isList(this.things[parent])) {
        if (!this.#ports.has(item)) this.#ports.set(item, this.#ports.size);
      } else {
        this.refuseAt(
          parent,
          step,
          "transfer() of something else than a buffer. To fix it, make it a whole argument or result",
        );
        return false;
      }
    }
    return true;
  }

  // ---- objects -----------------------------------------------------------------------------------------------------

  codeOf(index: number): number {
    return this.#text[FIRST + index * 2] as number;
  }

  saidOf(index: number): unknown {
    return this.#text[FIRST + index * 2 + 1];
  }

  say<T>(index: number, said: T, code?: number): T {
    if (code !== undefined) this.#text[FIRST + index * 2] = code;
    this.#text[FIRST + index * 2 + 1] = said;
    return said;
  }

  /** Writes all objects to which something refers that was written. */
  #writeAll(): void {
    while (this.#written < this.things.length) {
      const index = this.#written++;
      const thing = this.things[index];
      if (typeof thing === "string") this.say(index, thing, Code.TEXT);
      else {
        try {
          this.#write(index, thing as object);
        } catch (error) {
          if (isExit(error) || error === this.#refusal) throw error;
          const reason = textOfThrown(error);
          this.refuse(index, `it cannot be read (${reason}). If it is a proxy, send what it stands for`);
        }
      }
    }
  }

  #write(index: number, thing: object): void {
    const port = this.#ports.get(thing);
    if (port !== undefined) return void this.say(index, port, Code.MOVED);
    const type = typeOf(thing);
    this.say(index, null, type?.code ?? Code.OBJECT);
    if (type?.write === undefined) return this.refuse(index, describeRefused(thing, this.#options));
    type.write(thing, index, this);
    if (type.takesKeys) return;
    const keys = Object.keys(thing);
    const ofClass = thing instanceof String ? thing.length : 0;
    if (keys.length > ofClass) this.refuse(index, describeExtra(thing, keys[ofClass], this.#options));
  }

  leftOutOf(error: Error): ReadonlyMap<string, string> | undefined {
    return this.#leftOut.get(error);
  }

  writeBuffer(buffer: ArrayBuffer, at: number): void {
    (this.#buffers ??= new Buffers(this)).write(buffer, at);
  }

  writeView(view: ArrayBufferView, at: number): void {
    (this.#buffers ??= new Buffers(this)).writeView(view, at);
  }

  writeShared(memory: SharedArrayBuffer, at: number): void {
    if (this.#options.isStored) {
      this.refuse(
        at,
        "a SharedArrayBuffer, which a queue cannot carry. To fix it, give it to the tasks as an argument",
      );
    } else if (this.#options.sameProcess) this.say(at, this.#shared.push(memory) - 1);
    else {
      const problem = this.#options.root === "progress" ? "progress cannot carry" : "another process cannot share";
      this.refuse(at, `a SharedArrayBuffer, which ${problem}. To fix it, send a copy of its bytes`);
    }
  }

  writeSignal(signal: AbortSignal, at: number): void {
    if (this.#options.signals) this.say(at, this.#shared.push(memoryOf(signal)) - 1);
    else this.refuse(at, "an AbortSignal, which only the arguments of tasks can carry");
  }

  writeObject(thing: object, at: number): void {
    const { kind, memory, part } = partsOf(thing);
    if (this.#options.isStored) {
      const what = `an object of the class ${kind}, which a queue cannot carry`;
      return this.refuse(at, fix(what, "give it to the tasks as an argument"));
    }
    if (!this.#options.sameProcess) {
      const what = `an object of the class ${kind}, which only threads of one program can share`;
      return this.refuse(at, fix(what, "use a ThreadPoolExecutor, or keep it in the program that submits the task"));
    }
    this.#text[0] = this.#flags |= GraphFlag.OBJECTS;
    this.say(at, [kind, this.#shared.push(memory) - 1, this.slot(part, at, "")]);
  }

  // ---- what cannot cross -------------------------------------------------------------------------------------------

  refuseAt(parent: number, step: Step, reason: string): null {
    if (this.#faults === undefined) throw this.#refusal = this.#errorAt(parent, step, reason);
    this.#faults.add(parent, step, reason);
    return null;
  }

  refuse(index: number, reason: string): void {
    if (this.#faults === undefined) {
      throw this.#refusal = this.#errorAt(this.#parents[index], this.#steps[index], reason);
    }
    this.#faults.addThing(index, reason);
  }

  #errorAt(parent: number, step: Step, reason: string): SerializationError {
    const { root } = this.#options;
    if (reason === TOO_DEEP) return this.#error(root, reason);
    let path = "";
    for (; parent !== -1; step = this.#steps[parent], parent = this.#parents[parent]) {
      path = this.#stepText(parent, step) + path;
    }
    return this.#error(root + path, reason);
  }

  #error(path: string, reason: string, cause?: unknown): SerializationError {
    const { root, task, sameProcess } = this.#options;
    // Tasks in threads and in processes alike report to the thread that has submitted them.
    const receiver = root === "progress" ? "the program" : `another ${sameProcess ? "thread" : "process"}`;
    const whose = task === undefined ? "" : ` of task ${task}`;
    return new SerializationError(
      `Cannot send ${path}${whose} to ${receiver}: ${reason}`,
      path,
      cause === undefined ? undefined : { cause },
    );
  }

  /** How JavaScript writes a step. */
  #stepText(parent: number, step: Step): string {
    const path = TYPES[this.codeOf(parent)]?.path?.(step, this.saidOf(parent));
    if (path !== undefined) return path;
    if (typeof step === "number") return `[${step}]`;
    return /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  }
}

/** Moves the things in a list, which are gone for the caller then. The message moves them again. */
function movedAway(list: Transferable[]): { value: unknown; list: Transferable[] } {
  return structuredClone({ value: list, list }, { transfer: list });
}

const TOO_DEEP = `it is nested too deeply, in more than ${MAX_DEPTH} levels`;
