/**
 * Reads what `_graph_writer.ts` writes. The text may come from a process that a task has taken over: nothing in it is
 * evaluated, and no class is looked up but those that are listed.
 *
 * @module
 */

import type { Encoded } from "./encoded.ts";
import { define, putTogether } from "./error_codec.ts";
import { Code, FIRST, Special, temporalClass } from "./_graph_format.ts";
import { viewNamed } from "./_views.ts";

// Kept, because tasks run in the same realm and may replace it.
const { parse } = JSON;

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
  if (!Array.isArray(items)) throw new TypeError("it is no list");
  return { length: items.length, get: (i) => items[i] };
}

/** A list is quicker, and an item has few of many objects. */
type Made = unknown[] | Map<number, unknown>;

/** An object, and what is said of what it holds. */
type Unfilled = [code: number, thing: object, said: unknown];

class GraphReader {
  readonly #text: unknown[];
  readonly #payload: Encoded;
  /** Whether items share objects, so that these must be made for each. */
  readonly isApart: boolean;
  /** The objects so far, by their numbers: of one item, where those share nothing. */
  #made: Made = [];
  #unfilled: Unfilled[] = [];

  constructor(payload: Encoded) {
    const text = parse(payload.text);
    if (!Array.isArray(text) || text.length < FIRST) throw new SyntaxError("Cannot read as a value: it has no parts");
    this.#text = text;
    this.#payload = payload;
    this.isApart = text[0] === 1;
  }

  get root(): unknown {
    return this.#text[1];
  }

  value(): unknown {
    return this.#valueOf(this.root);
  }

  /** Items of a list that share nothing. */
  items(slot: unknown): Items {
    const slots = this.#said(slot) as unknown[];
    return { length: slots.length, get: (i) => this.#valueOf(slots[i]) };
  }

  #said(slot: unknown): unknown {
    return this.#text[FIRST + (slot as [number])[0] * 2 + 1];
  }

  #valueOf(slot: unknown): unknown {
    if (this.isApart) this.#made = new Map();
    const value = this.#resolve(slot);
    const unfilled = this.#unfilled;
    // What is filled adds to what is to be filled.
    for (let i = 0; i < unfilled.length; i++) this.#fill(...unfilled[i]);
    this.#unfilled = [];
    return value;
  }

  #resolve(slot: unknown): unknown {
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
    const code = this.#text[at] as number;
    const thing = this.#make(code, this.#text[at + 1]);
    if (Array.isArray(made)) made[index] = thing;
    else made.set(index, thing);
    if (code <= Code.ERROR) this.#unfilled.push([code, thing as object, this.#text[at + 1]]);
    return thing;
  }

  // deno-lint-ignore no-explicit-any -- what is said depends on the code; what does not fit throws
  #make(code: number, said: any): unknown {
    switch (code) {
      case Code.ARRAY:
        return this.isApart ? said.slice() : said;
      case Code.OBJECT:
        return this.isApart ? { ...said } : said;
      case Code.LOOSE: {
        const array: unknown[] = [];
        array.length = said[0];
        return array;
      }
      case Code.KEYED:
        return {};
      case Code.BARE:
        return Object.create(null);
      case Code.MAP:
        return new Map();
      case Code.SET:
        return new Set();
      case Code.ERROR: {
        const [classes, name, message, stack] = said;
        return putTogether({ classes, name, message, stack });
      }
      case Code.DATE:
        return new Date(said ?? NaN);
      case Code.REGEXP: {
        const [source, flags, lastIndex] = said;
        return Object.assign(new RegExp(source, flags), { lastIndex: this.#resolve(lastIndex) });
      }
      case Code.URL:
        return new URL(said);
      case Code.PARAMS:
        return new URLSearchParams(said);
      case Code.BOXED:
        return Object(this.#resolve(said));
      case Code.TEMPORAL:
        return temporalClass(said[0])!.from(said[1]);
      case Code.BUFFER:
        return this.#buffer(said[0], said[1]);
      case Code.VIEW: {
        const [type, buffer, at, length] = said;
        return new (viewNamed(type))(this.#resolve(buffer) as ArrayBuffer, at, length ?? undefined);
      }
      case Code.PART: {
        const [type, place, length] = said;
        return new (viewNamed(type))(this.#buffer(place), 0, length);
      }
      case Code.SHARED:
        return this.#payload.shared[said];
      case Code.MOVED:
        return (this.#payload.clone!.value as unknown[])[said];
      case Code.TEXT:
        return said;
      default:
        throw new SyntaxError(`Cannot read as a kind of object: ${code}`);
    }
  }

  #buffer(place: number, maxByteLength?: number): ArrayBuffer {
    const buffer = this.#payload.buffers[place];
    if (maxByteLength === undefined) return this.isApart ? buffer.slice() : buffer;
    const resizable = new ArrayBuffer(buffer.byteLength, { maxByteLength });
    new Uint8Array(resizable).set(new Uint8Array(buffer));
    return resizable;
  }

  // deno-lint-ignore no-explicit-any -- as above
  #fill(code: number, thing: any, said: any): void {
    switch (code) {
      case Code.ARRAY:
        for (let i = 0; i < thing.length; i++) {
          if (typeof thing[i] === "object" && thing[i] !== null) thing[i] = this.#resolve(thing[i]);
        }
        return;
      case Code.OBJECT:
        for (const key of Object.keys(thing)) {
          const slot = thing[key];
          if (typeof slot !== "object" || slot === null) continue;
          if (key === "__proto__") throw new SyntaxError("Cannot read as a key of an object: __proto__");
          thing[key] = this.#resolve(slot);
        }
        return;
      case Code.LOOSE:
        for (let i = 1; i < said.length; i += 2) define(thing, said[i], this.#resolve(said[i + 1]), true);
        return;
      case Code.KEYED:
      case Code.BARE:
        for (let i = 0; i < said.length; i += 2) define(thing, said[i], this.#resolve(said[i + 1]), true);
        return;
      case Code.MAP:
        for (let i = 0; i < said.length; i += 2) thing.set(this.#resolve(said[i]), this.#resolve(said[i + 1]));
        return;
      case Code.SET:
        for (let i = 0; i < said.length; i++) thing.add(this.#resolve(said[i]));
        return;
      case Code.ERROR: {
        const hidden = new Set(said[4]);
        for (let i = 5; i < said.length; i += 2) {
          define(thing, said[i], this.#resolve(said[i + 1]), !hidden.has(said[i]));
        }
      }
    }
  }
}
