/**
 * The buffers of a value that is written as a graph: which of them cross, whole or in part, and which move.
 *
 * @module
 */

import { copyOf } from "./encoded.ts";
import type { Step } from "./_faults.ts";
import { Code, TYPES } from "./_types.ts";
import { isOutOfBounds, isTracking, lengthOf, viewNameOf } from "./_views.ts";

/** The objects of the value, by their numbers. */
export interface Objects {
  readonly things: readonly unknown[];
  /** The item in which each object was met first. */
  readonly items: readonly number[];
  codeOf(index: number): number;
  saidOf(index: number): unknown;
  say<T>(index: number, said: T, code?: number): T;
  refuse(index: number, reason: string): void;
  refuseAt(parent: number, step: Step, reason: string): void;
}

/** A place where an item refers to an object of another item before it. */
export interface Repeat {
  readonly index: number;
  readonly parent: number;
  readonly step: Step;
  readonly item: number;
}

const GONE = "a view of a detached ArrayBuffer";

/** The buffers of one value. */
export class Buffers {
  readonly #objects: Objects;
  /** What crosses: copies, and those that move. */
  readonly #crossing: ArrayBuffer[] = [];
  readonly #moving = new Set<unknown>();
  /** Those that cross whole, because more than one view shows something of them. */
  readonly #whole = new Set<unknown>();
  /** The views that were written, without their bytes. */
  readonly #views: number[] = [];
  /** The one view of each buffer that the item of this number has shown so far. */
  readonly #shown = new Map<unknown, unknown>();
  #shownItem = 0;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** Takes note of a buffer that moves instead of being copied. */
  move(buffer: ArrayBuffer): void {
    this.#moving.add(buffer);
  }

  write(buffer: ArrayBuffer, at: number): void {
    if (buffer.detached) return this.#objects.refuse(at, "a detached ArrayBuffer");
    this.#whole.add(buffer);
    const bytes = this.#moving.has(buffer) ? buffer : copyOf(new Uint8Array(buffer)).buffer;
    const place = this.#crossing.push(bytes) - 1;
    this.#objects.say(at, buffer.resizable ? [place, buffer.maxByteLength] : [place]);
  }

  /** Writes a view. What it shows is known once all views are met: see {@linkcode placeView}. */
  writeView(view: ArrayBufferView, at: number): void {
    const { buffer } = view;
    if (isOutOfBounds(view)) {
      const isDetached = buffer instanceof ArrayBuffer && buffer.detached;
      return this.#objects.refuse(at, isDetached ? GONE : "a view beyond the end of its buffer");
    }
    let length: number | null = lengthOf(view);
    if (buffer instanceof SharedArrayBuffer) {
      if (buffer.growable && view.byteOffset + view.byteLength + 8 > buffer.byteLength) {
        return this.#objects.refuse(
          at,
          "a view up to the end of a SharedArrayBuffer that can grow. " +
            "To fix it, send the memory and make the view in the task",
        );
      }
      this.#whole.add(buffer);
    } else if (buffer.resizable) {
      if (isTracking(view)) length = null;
      this.#whole.add(buffer);
    } else if (view.byteLength === buffer.byteLength || this.#moving.has(buffer)) this.#whole.add(buffer);
    this.#objects.say(at, [viewNameOf(view), null, view.byteOffset, length]);
    this.#views.push(at);
    this.#show(view, this.#objects.items[at]);
  }

  /** Of a buffer to which nothing else in its item refers, the part that a view shows is enough. */
  #show(view: ArrayBufferView, item: number): void {
    if (this.#shownItem !== item) this.#shown.clear();
    this.#shownItem = item;
    const other = this.#shown.get(view.buffer);
    if (other === undefined) this.#shown.set(view.buffer, view);
    else if (other !== view) this.#whole.add(view.buffer);
  }

  /** Looks at what items show of buffers by the objects that they share with items before them. */
  showAgain(repeats: readonly Repeat[]): void {
    if (repeats.length === 0 || this.#views.length + this.#moving.size === 0) return;
    const { things, items } = this.#objects;
    const own = Map.groupBy(this.#views, (index) => items[index]);
    const below = new Map<number, number[]>();
    for (const [item, again] of Map.groupBy(repeats, ({ item }) => item)) {
      for (const index of own.get(item) ?? []) this.#show(things[index] as ArrayBufferView, item);
      for (const { index, parent, step } of again) {
        let reached = below.get(index);
        if (reached === undefined) below.set(index, reached = this.#buffersBelow(index));
        for (const each of reached) {
          const thing = things[each];
          const isView = ArrayBuffer.isView(thing);
          if (this.#moving.has(isView ? thing.buffer : thing)) {
            this.#objects.refuseAt(parent, step, "a buffer that already moves with another item");
          }
          if (isView) this.#show(thing, item);
        }
      }
    }
  }

  /** The buffers, and views of them, that an object leads to, itself among them. */
  #buffersBelow(index: number): number[] {
    const reached = new Set([index]);
    const found: number[] = [];
    // The loop also goes through what it adds.
    for (const each of reached) {
      const code = this.#objects.codeOf(each);
      if (code === Code.BUFFER || code === Code.VIEW) found.push(each);
      if (TYPES[code]?.fill === undefined) continue;
      for (const slot of Object.values(this.#objects.saidOf(each) as object)) {
        if (Array.isArray(slot) && typeof slot[0] === "number" && slot[0] >= 0) reached.add(slot[0]);
      }
    }
    return found;
  }

  /** The views that were written. */
  get views(): readonly number[] {
    return this.#views;
  }

  /**
   * Says what a view shows.
   *
   * @param slotOf Gives the slot of its buffer, where that crosses whole.
   */
  placeView(index: number, slotOf: (buffer: ArrayBufferLike) => unknown): void {
    const { buffer, byteOffset, byteLength } = this.#objects.things[index] as ArrayBufferView;
    const said = this.#objects.saidOf(index) as unknown[];
    if (this.#whole.has(buffer)) said[1] = slotOf(buffer);
    else if (isOutOfBounds(this.#objects.things[index] as ArrayBufferView)) this.#objects.refuse(index, GONE);
    else {
      const bytes = copyOf(new Uint8Array(buffer, byteOffset, byteLength));
      this.#objects.say(index, [said[0], this.#crossing.push(bytes.buffer) - 1, said[3]], Code.PART);
    }
  }

  /**
   * The buffers that cross, where those that move are gone for the caller: all of them or none, as only the attempt
   * tells that a buffer cannot move, such as WebAssembly's memory.
   */
  take(): ArrayBuffer[] {
    const moving = this.#crossing.filter((buffer) => this.#moving.has(buffer));
    if (moving.length === 0) return this.#crossing;
    const taken = moving.length === 1 ? [moving[0].transfer()] : structuredClone(moving, { transfer: moving });
    return this.#crossing.map((buffer) => this.#moving.has(buffer) ? taken.shift()! : buffer);
  }
}
