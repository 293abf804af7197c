/**
 * Writes values that JSON cannot say, in the form of `_graph_format.ts`. Nothing here calls itself for what is nested,
 * so neither depth nor cycles matter.
 *
 * @module
 */

import { SerializationError } from "../../futures/errors.ts";
import { copyOf, Encoded, Encoding } from "./encoded.ts";
import { partsOf, propertiesOf } from "./error_codec.ts";
import { isExit } from "../../futures/task_exit.ts";
import { Faults, type LeftOut, type Step } from "./_faults.ts";
import { Code, FIRST, isDoubtful, Special, temporalClassOf } from "./_graph_format.ts";
import { jsonOf } from "./json.ts";
import { describeExtra, describeFunction, describeRefused, textOfThrown } from "./_refusal.ts";
import { Transfer } from "../transfer.ts";
import { isOutOfBounds, isTracking, lengthOf, VIEWS } from "./_views.ts";

/** What is special about the values of one direction. */
export interface EncodeOptions {
  /**
   * What the value is called in paths. Something in an `error`, which a task threw, that cannot cross is left out; all
   * else is refused.
   */
  root: "args" | "result" | "error";
  /** Whether shared memory can be passed and buffers can be moved: among threads of one process. */
  sameProcess: boolean;
}

/** Texts from this length on are written once, however often they occur. */
const LONG_TEXT = 64;

/** Whoever reads a value that is nested deeper by a function that calls itself overflows the stack. */
const MAX_DEPTH = 10_000;

const UNDEFINED = [Special.UNDEFINED];

/**
 * Encodes any value.
 *
 * @param lists The lists in it whose items share nothing when they arrive: each is sent as if it were alone.
 * @throws {SerializationError} Something in it cannot cross.
 */
export function encodeGraph(value: unknown, options: EncodeOptions, lists: readonly unknown[][] = []): Encoded {
  const leftOut: LeftOut = new Map();
  for (;;) {
    const payload = new GraphEncoder(options, lists, leftOut).encode(value);
    // Else something more is left out.
    if (payload !== undefined) return payload;
  }
}

/** Writes one value. */
class GraphEncoder {
  readonly #options: EncodeOptions;
  readonly #lists: readonly unknown[][];
  readonly #leftOut: LeftOut;
  readonly #text: unknown[] = [0, null];
  /** All objects, and of each how it was reached first, how deep, and in which item. */
  readonly #things: unknown[] = [];
  readonly #indexes = new Map<unknown, number>();
  readonly #parents: number[] = [];
  readonly #steps: Step[] = [];
  readonly #depths: number[] = [];
  readonly #items: number[] = [];
  #written = 0;
  #item = 0;
  readonly #buffers: ArrayBuffer[] = [];
  readonly #shared: SharedArrayBuffer[] = [];
  readonly #moved = new Set<unknown>();
  /** What moves and is no buffer. */
  readonly #ports = new Map<unknown, number>();
  /** Views of which nothing is written yet, and the buffers that must cross whole. */
  readonly #views: number[] = [];
  readonly #whole = new Set<unknown>();
  /** The one view of a buffer that was met in an item so far. */
  readonly #met = new Map<unknown, unknown>();
  #metItem = 0;
  /** Where an item refers to an object of one before it. */
  readonly #again: { readonly index: number; readonly parent: number; readonly step: Step; readonly item: number }[] =
    [];
  readonly #faults: Faults | undefined;
  #refusal: SerializationError | undefined;

  constructor(options: EncodeOptions, lists: readonly unknown[][], leftOut: LeftOut) {
    this.#options = options;
    this.#lists = lists;
    this.#leftOut = leftOut;
    if (options.root === "error") this.#faults = new Faults();
  }

  /** `undefined` when something is to be left out that was not. */
  encode(value: unknown): Encoded | undefined {
    this.#text[1] = this.#slot(value, -1, "");
    this.#writeAll();
    this.#placeViews();
    if (this.#faults === undefined || this.#faults.isEmpty) return this.#finish();
    const { path, reason } = this.#faults.leaveOut(this.#leftOut, {
      errorAt: (index) => this.#codeOf(index) === Code.ERROR ? this.#things[index] : undefined,
      stepText: (parent, step) => this.#stepText(parent, step),
    }) ?? {};
    if (path !== undefined) throw this.#error(path, reason!);
    return undefined;
  }

  #finish(): Encoded {
    const { root } = this.#options;
    let text: string;
    try {
      text = jsonOf(this.#text);
    } catch (error) {
      throw this.#error(root, `it is too long: ${textOfThrown(error)}`, error);
    }
    // Only now that nothing else can be refused any more: what moves is gone for the caller.
    const clone = this.#ports.size === 0 ? undefined : this.#moveAll([...this.#ports.keys()] as Transferable[]);
    const buffers = this.#takeMoved();
    return new Encoded(clone === undefined ? Encoding.GRAPH : Encoding.CLONE, text, 0, buffers, this.#shared, clone);
  }

  #moveAll(list: Transferable[]): { value: unknown; list: Transferable[] } {
    try {
      // The clone is moved again when it is sent.
      return structuredClone({ value: list, list }, { transfer: list });
    } catch (error) {
      throw this.#error(this.#options.root, textOfThrown(error instanceof Error ? error.message : error), error);
    }
  }

  /**
   * All or none: a buffer may turn out not to be movable, such as WebAssembly's memory, which only the attempt tells.
   */
  #takeMoved(): ArrayBuffer[] {
    const moved = this.#buffers.filter((buffer) => this.#moved.has(buffer));
    if (moved.length === 0) return this.#buffers;
    let taken: ArrayBuffer[];
    try {
      taken = moved.length === 1 ? [moved[0].transfer()] : structuredClone(moved, { transfer: moved });
    } catch (error) {
      throw this.#error(this.#options.root, textOfThrown(error instanceof Error ? error.message : error), error);
    }
    return this.#buffers.map((buffer) => this.#moved.has(buffer) ? taken.shift()! : buffer);
  }

  // ---- values ------------------------------------------------------------------------------------------------------

  #slot(value: unknown, parent: number, step: Step): unknown {
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
      case "symbol":
        return this.#refuse(
          parent,
          step,
          `a symbol: ${this.#options.root === "result" ? "return" : "send"} a text instead`,
        );
      case "function":
        return this.#refuse(parent, step, describeFunction(value, this.#options));
      default:
        return value === null ? null : this.#refer(value as object, parent, step);
    }
  }

  /** The slot of a property; one whose getter throws is refused. */
  #read(thing: object, key: Step, parent: number): unknown {
    let value: unknown;
    try {
      value = (thing as { [key: Step]: unknown })[key];
    } catch (error) {
      if (isExit(error)) throw error;
      return this.#refuse(parent, key, `its getter throws: ${textOfThrown(error)}`);
    }
    return this.#slot(value, parent, key);
  }

  #refer(thing: object | string, parent: number, step: Step): unknown {
    if (typeof thing === "object" && Transfer.is(thing)) {
      return this.#unwrap(thing, parent, step) ? this.#slot(thing.value, parent, step) : null;
    }
    let index = this.#indexes.get(thing);
    if (index === undefined) {
      const depth = parent === -1 ? 0 : this.#depths[parent] + 1;
      if (depth > MAX_DEPTH) return this.#refuse(parent, step, TOO_DEEP);
      index = this.#things.push(thing) - 1;
      this.#indexes.set(thing, index);
      this.#parents.push(parent);
      this.#steps.push(step);
      this.#depths.push(depth);
      this.#items.push(this.#item);
    } else if (this.#items[index] !== this.#item) this.#shareWithItem(index, parent, step);
    this.#faults?.refer(parent, step, index);
    return [index];
  }

  /** Two items refer to the same object, so that it must be made for each. */
  #shareWithItem(index: number, parent: number, step: Step): void {
    const code = this.#codeOf(index);
    if (code === Code.TEXT || code === Code.SHARED) return;
    this.#again.push({ index, parent, step, item: this.#item });
    this.#text[0] = 1;
  }

  /** What an item shows of buffers by the objects that it shares with those before it, which it did not write. */
  #meetAgain(): void {
    if (this.#again.length === 0 || this.#views.length + this.#moved.size === 0) return;
    const own = Map.groupBy(this.#views, (index) => this.#items[index]);
    const below = new Map<number, number[]>();
    for (const [item, again] of Map.groupBy(this.#again, ({ item }) => item)) {
      this.#item = item;
      for (const index of own.get(item) ?? []) this.#meet(this.#things[index] as ArrayBufferView);
      for (const { index, parent, step } of again) {
        let reached = below.get(index);
        if (reached === undefined) below.set(index, reached = this.#buffersBelow(index));
        for (const each of reached) {
          const thing = this.#things[each];
          const isView = ArrayBuffer.isView(thing);
          if (this.#moved.has(isView ? thing.buffer : thing)) {
            this.#refuse(parent, step, "a buffer that moves with another item");
          }
          if (isView) this.#meet(thing);
        }
      }
    }
  }

  /** The buffers, and views of them, that are reached from an object, itself among them. */
  #buffersBelow(index: number): number[] {
    const reached = new Set([index]);
    const found: number[] = [];
    // What is reached is added while this goes on.
    for (const each of reached) {
      const code = this.#codeOf(each) as number;
      if (code === Code.BUFFER || code === Code.VIEW) found.push(each);
      if (code > Code.ERROR) continue;
      for (const slot of Object.values(this.#text[FIRST + each * 2 + 1] as object)) {
        if (Array.isArray(slot) && typeof slot[0] === "number" && slot[0] >= 0) reached.add(slot[0]);
      }
    }
    return found;
  }

  /** Takes note of what moves with a value; `false` when it cannot. */
  #unwrap({ list }: Transfer, parent: number, step: Step): boolean {
    const { root, sameProcess } = this.#options;
    for (const item of list) {
      if (item instanceof ArrayBuffer) this.#moved.add(item);
      else if (!sameProcess) {
        this.#refuse(parent, step, "only buffers can be transferred there");
        return false;
      } else if (parent === -1 || (root === "args" && parent === 0) || this.#isList(this.#things[parent])) {
        if (!this.#ports.has(item)) this.#ports.set(item, this.#ports.size);
      } else {
        this.#refuse(parent, step, "a transfer of what is no buffer, which must be a whole argument or result");
        return false;
      }
    }
    return true;
  }

  #isList(thing: unknown): boolean {
    return this.#lists.includes(thing as unknown[]);
  }

  // ---- objects -----------------------------------------------------------------------------------------------------

  #codeOf(index: number): unknown {
    return this.#text[FIRST + index * 2];
  }

  /** Says what an object is; what is said of it may be added to. */
  #put<T>(index: number, code: number, what: T): T {
    this.#text[FIRST + index * 2] = code;
    this.#text[FIRST + index * 2 + 1] = what;
    return what;
  }

  /** Writes all objects that were met. */
  #writeAll(): void {
    while (this.#written < this.#things.length) {
      const index = this.#written++;
      const thing = this.#things[index];
      if (typeof thing === "string") this.#put(index, Code.TEXT, thing);
      else {
        this.#put(index, Code.OBJECT, null);
        try {
          this.#write(index, thing as object);
        } catch (error) {
          if (isExit(error) || error === this.#refusal) throw error;
          const reason = textOfThrown(error);
          this.#refuseThing(index, `it cannot be read (${reason}): if it is a proxy, send what it stands for`);
        }
      }
    }
  }

  #write(index: number, thing: object): void {
    const port = this.#ports.get(thing);
    if (port !== undefined) return void this.#put(index, Code.MOVED, port);
    const prototype = Object.getPrototypeOf(thing);
    if (Array.isArray(thing)) {
      if (prototype === Array.prototype) return this.#writeArray(index, thing);
      return this.#refuseThing(index, describeRefused(thing, this.#options));
    }
    if (prototype === Object.prototype || prototype === null) return this.#writeObject(index, thing, prototype);
    const type = VIEWS.get(prototype);
    if (type !== undefined) return this.#writeView(index, thing as ArrayBufferView, type);
    if (thing instanceof Error) return this.#writeError(index, thing);
    if (!this.#writeBuiltIn(index, thing, prototype)) {
      return this.#refuseThing(index, describeRefused(thing, this.#options));
    }
    const keys = Object.keys(thing);
    const ofClass = prototype === String.prototype ? (thing as unknown as string).length : 0;
    if (keys.length > ofClass) this.#refuseThing(index, describeExtra(thing, keys[ofClass], this.#options));
  }

  #writeArray(index: number, array: unknown[]): void {
    const { length } = array;
    const keys = Object.keys(array);
    if (keys.length !== length || (length > 0 && keys[length - 1] !== String(length - 1))) {
      const loose: unknown[] = this.#put(index, Code.LOOSE, [length]);
      for (const key of keys) loose.push(key, this.#read(array, key, index));
      return;
    }
    const slots: unknown[] = this.#put(index, Code.ARRAY, []);
    const isList = this.#isList(array);
    for (let i = 0; i < length; i++) {
      if (isList) this.#item++;
      slots.push(this.#read(array, i, index));
      if (isList) this.#writeAll();
    }
  }

  #writeObject(index: number, thing: object, prototype: unknown): void {
    const [symbol] = Object.getOwnPropertySymbols(thing);
    if (symbol !== undefined) {
      return this.#refuseThing(index, `an object with ${String(symbol)} as key: use a text as key`);
    }
    const keys = Object.keys(thing);
    if (prototype === null || keys.some(isDoubtful)) {
      const keyed: unknown[] = this.#put(index, prototype === null ? Code.BARE : Code.KEYED, []);
      for (const key of keys) keyed.push(key, this.#read(thing, key, index));
      return;
    }
    // Without a prototype, which could have setters.
    const slots = this.#put<{ [key: string]: unknown }>(index, Code.OBJECT, Object.create(null));
    for (const key of keys) slots[key] = this.#read(thing, key, index);
  }

  #writeError(index: number, error: Error): void {
    const { classes, name, message, stack } = partsOf(error);
    const leftOut = this.#leftOut.get(error);
    const note = leftOut === undefined ? "" : `\n    [left out: ${[...leftOut.values()].join("; ")}]`;
    const hidden: string[] = [];
    const said: unknown[] = this.#put(index, Code.ERROR, [classes, name, message, stack + note, hidden]);
    for (const property of propertiesOf(error)) {
      if (leftOut?.has(property)) continue;
      if (!Object.prototype.propertyIsEnumerable.call(error, property)) hidden.push(property);
      said.push(property, this.#read(error, property, index));
    }
  }

  /** Writes an instance of a class whose own instances cross; `false` for any other. */
  #writeBuiltIn(index: number, thing: object, prototype: object): boolean {
    switch (prototype) {
      case Map.prototype: {
        const slots: unknown[] = this.#put(index, Code.MAP, []);
        forEachOfMap.call(thing as Map<unknown, unknown>, (value, key) => {
          slots.push(this.#slot(key, index, slots.length));
          slots.push(this.#slot(value, index, slots.length));
        });
        return true;
      }
      case Set.prototype: {
        const slots: unknown[] = this.#put(index, Code.SET, []);
        forEachOfSet.call(thing as Set<unknown>, (value) => void slots.push(this.#slot(value, index, slots.length)));
        return true;
      }
      case Date.prototype: {
        const time = getTime.call(thing as Date);
        this.#put(index, Code.DATE, Number.isNaN(time) ? null : time);
        return true;
      }
      case RegExp.prototype: {
        const { source, flags, lastIndex } = thing as RegExp;
        this.#put(index, Code.REGEXP, [source, flags, this.#slot(lastIndex, index, "lastIndex")]);
        return true;
      }
      case URL.prototype:
        this.#put(index, Code.URL, (thing as URL).href);
        return true;
      case URLSearchParams.prototype:
        this.#put(index, Code.PARAMS, paramsToText.call(thing as URLSearchParams));
        return true;
      case Number.prototype:
      case String.prototype:
      case Boolean.prototype:
      case BigInt.prototype:
        this.#put(index, Code.BOXED, this.#slot((prototype as { valueOf(): unknown }).valueOf.call(thing), index, ""));
        return true;
      case ArrayBuffer.prototype:
        this.#writeBuffer(index, thing as ArrayBuffer);
        return true;
      case SharedArrayBuffer.prototype:
        if (this.#options.sameProcess) {
          this.#put(index, Code.SHARED, this.#shared.push(thing as SharedArrayBuffer) - 1);
        } else {this.#refuseThing(
            index,
            "a SharedArrayBuffer, which another process cannot share: send a copy of its bytes",
          );}
        return true;
    }
    const temporal = temporalClassOf(prototype);
    if (temporal === undefined) return false;
    this.#put(index, Code.TEMPORAL, [temporal, `${thing}`]);
    return true;
  }

  // ---- buffers -----------------------------------------------------------------------------------------------------

  #writeBuffer(index: number, buffer: ArrayBuffer): void {
    if (buffer.detached) return this.#refuseThing(index, "a detached ArrayBuffer");
    this.#whole.add(buffer);
    const bytes = this.#moved.has(buffer) ? buffer : copyOf(new Uint8Array(buffer)).buffer;
    const place = this.#buffers.push(bytes) - 1;
    this.#put(index, Code.BUFFER, buffer.resizable ? [place, buffer.maxByteLength] : [place]);
  }

  #writeView(index: number, view: ArrayBufferView, type: string): void {
    const { buffer } = view;
    if (isOutOfBounds(view)) {
      const isDetached = buffer instanceof ArrayBuffer && buffer.detached;
      return this.#refuseThing(
        index,
        isDetached ? GONE : "a view beyond the end of its buffer",
      );
    }
    let length: number | null = lengthOf(view);
    if (buffer instanceof SharedArrayBuffer) {
      if (buffer.growable && view.byteOffset + view.byteLength + 8 > buffer.byteLength) {
        return this.#refuseThing(
          index,
          "a view up to the end of a SharedArrayBuffer that can grow: send the memory and make the view in the task",
        );
      }
      this.#whole.add(buffer);
    } else if (buffer.resizable) {
      if (isTracking(view)) length = null;
      this.#whole.add(buffer);
    } else if (view.byteLength === buffer.byteLength || this.#moved.has(buffer)) this.#whole.add(buffer);
    this.#put(index, Code.VIEW, [type, null, view.byteOffset, length]);
    this.#views.push(index);
    this.#meet(view);
  }

  /** Of a buffer that nothing else in its item refers to, the part that a view shows is enough. */
  #meet(view: ArrayBufferView): void {
    if (this.#metItem !== this.#item) this.#met.clear();
    this.#metItem = this.#item;
    const other = this.#met.get(view.buffer);
    if (other === undefined) this.#met.set(view.buffer, view);
    else if (other !== view) this.#whole.add(view.buffer);
  }

  #placeViews(): void {
    this.#meetAgain();
    for (const index of this.#views) {
      const view = this.#things[index] as ArrayBufferView;
      this.#item = this.#items[index];
      const { buffer, byteOffset, byteLength } = view;
      const said = this.#text[FIRST + index * 2 + 1] as unknown[];
      if (this.#whole.has(buffer)) {
        said[1] = this.#slot(buffer, index, "buffer");
        this.#writeAll();
      } else if (isOutOfBounds(view)) this.#refuseThing(index, GONE);
      else {
        const bytes = copyOf(new Uint8Array(buffer, byteOffset, byteLength));
        this.#put(index, Code.PART, [said[0], this.#buffers.push(bytes.buffer) - 1, said[3]]);
      }
    }
  }

  // ---- what cannot cross -------------------------------------------------------------------------------------------

  #refuse(parent: number, step: Step, reason: string): null {
    if (this.#faults === undefined) throw this.#refusal = this.#errorAt(parent, step, reason);
    this.#faults.add(parent, step, reason);
    return null;
  }

  #refuseThing(index: number, reason: string): void {
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
    const where = this.#options.sameProcess ? "thread" : "process";
    return new SerializationError(
      `Cannot send ${path} to another ${where}: ${reason}`,
      path,
      cause === undefined ? undefined : { cause },
    );
  }

  /** A step as JavaScript writes it. */
  #stepText(parent: number, step: Step): string {
    const place = Number(step);
    switch (this.#codeOf(parent)) {
      case Code.SET:
        return `.values().toArray()[${step}]`;
      case Code.MAP: {
        if (place % 2 === 0) return `.keys().toArray()[${place / 2}]`;
        const key = (this.#text[FIRST + parent * 2 + 1] as unknown[])[place - 1];
        if (typeof key !== "object") return `.get(${JSON.stringify(key)})`;
        return `.values().toArray()[${(place - 1) / 2}]`;
      }
      case Code.BOXED:
        return "";
    }
    if (typeof step === "number" || (this.#codeOf(parent) === Code.LOOSE && /^\d+$/.test(step))) return `[${step}]`;
    return /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  }
}

const GONE = "a view of a detached ArrayBuffer";
const TOO_DEEP = `it is nested too deeply, wanted at most ${MAX_DEPTH} levels`;

// Kept, because tasks run in the same realm and may replace them; and what looks like a map and is none is noticed.
const { forEach: forEachOfMap } = Map.prototype;
const { forEach: forEachOfSet } = Set.prototype;
const { getTime } = Date.prototype;
const { toString: paramsToText } = URLSearchParams.prototype;
