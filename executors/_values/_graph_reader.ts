/**
 * Reads what `_graph_writer.ts` writes. The text may come from a process that a task has taken over: the reader
 * evaluates nothing of it, and looks up no class but those that are listed.
 *
 * @module
 */

import { JSON } from "../../futures/builtins.ts";
import { copyOf, type Encoded } from "./encoded.ts";
import { FIRST, GraphFlag, Special } from "./_graph_format.ts";
import { type Reader, TYPES } from "./_types.ts";

/** The items of a chunk. Each is made when it is wanted, where it must share nothing with the others. */
export interface Items {
  readonly length: number;
  get(i: number): unknown;
}

/** Decodes what `encodeGraph()` made of a value. */
export function decodeGraph(payload: Encoded): unknown {
  return new GraphReader(payload).value();
}

/** Decodes what `encodeGraph()` made of a list of items. */
export function decodeGraphItems(payload: Encoded): Items {
  const reader = new GraphReader(payload);
  if (reader.isApart) return reader.items(reader.root);
  const items = reader.value();
  if (!Array.isArray(items)) throw new TypeError("it is not a list");
  return { length: items.length, get: (i) => items[i] };
}

/** The objects that were made, by their numbers. A list is quicker; of many objects, one item has few. */
type Made = unknown[] | Map<number, unknown>;

/** How an object is filled, the object, and what is said of what it holds. */
type Unfilled = [fill: (thing: unknown, said: unknown, from: Reader) => void, thing: unknown, said: unknown];

class GraphReader implements Reader {
  readonly #text: unknown[];
  readonly #payload: Encoded;
  readonly isApart: boolean;
  /** Where items share nothing, those of one item. */
  #made: Made = [];
  #unfilled: Unfilled[] = [];

  constructor(payload: Encoded) {
    const text = JSON.parse(payload.text);
    if (!Array.isArray(text) || text.length < FIRST) {
      throw new SyntaxError("Cannot read an invalid value: it has no parts");
    }
    this.#text = text;
    this.#payload = payload;
    this.isApart = (text[0] & GraphFlag.APART) !== 0;
  }

  get root(): unknown {
    return this.#text[1];
  }

  get shared(): SharedArrayBuffer[] {
    return this.#payload.shared;
  }

  get moved(): unknown[] {
    return this.#payload.clone!.value as unknown[];
  }

  value(): unknown {
    return this.#valueOf(this.root);
  }

  /** Items of a list that share nothing. */
  items(slot: unknown): Items {
    const slots = this.#text[FIRST + (slot as [number])[0] * 2 + 1] as unknown[];
    return { length: slots.length, get: (i) => this.#valueOf(slots[i]) };
  }

  #valueOf(slot: unknown): unknown {
    if (this.isApart) this.#made = new Map();
    const value = this.resolve(slot);
    const unfilled = this.#unfilled;
    // Filling an object adds the objects that it holds.
    for (let i = 0; i < unfilled.length; i++) {
      const [fill, thing, said] = unfilled[i];
      fill(thing, said, this);
    }
    this.#unfilled = [];
    return value;
  }

  resolve(slot: unknown): unknown {
    if (typeof slot !== "object" || slot === null) return slot;
    const [what] = slot as [unknown];
    if (typeof what === "string") return BigInt(what);
    switch (what) {
      case Special.UNDEFINED:
        return undefined;
      case Special.NAN:
        return NaN;
      case Special.INFINITY:
        return Infinity;
      case Special.MINUS_INFINITY:
        return -Infinity;
      case Special.MINUS_ZERO:
        return -0;
      default:
        return this.#object(what as number);
    }
  }

  #object(index: number): unknown {
    const made = this.#made;
    const known = Array.isArray(made) ? made[index] : made.get(index);
    if (known !== undefined) return known;
    const at = FIRST + index * 2;
    const code = this.#text[at];
    const type = typeof code === "number" ? TYPES[code] : undefined;
    if (type === undefined) throw new SyntaxError(`Cannot read an unknown kind of object: ${code}`);
    const said = this.#text[at + 1];
    const thing = type.make(said, this);
    if (Array.isArray(made)) made[index] = thing;
    else made.set(index, thing);
    if (type.fill !== undefined) this.#unfilled.push([type.fill, thing, said]);
    return thing;
  }

  buffer(place: number, maxByteLength?: number): ArrayBuffer {
    const buffer = this.#payload.buffers[place];
    if (maxByteLength === undefined) return this.isApart ? copyOf(new Uint8Array(buffer)).buffer : buffer;
    const resizable = new ArrayBuffer(buffer.byteLength, { maxByteLength });
    new Uint8Array(resizable).set(new Uint8Array(buffer));
    return resizable;
  }
}
