/**
 * The items of a queue in shared memory: blocks, each with an encoded value, that refer to each other by where they
 * lie. All is read and changed under the queue's mutex.
 *
 * A queue first in, first out and one last in, first out are lists of blocks. A queue by priority is a leftist heap,
 * which needs no other memory than two references and a rank in each block.
 *
 * @see C. A. Crane: Linear Lists and Priority Queues as Balanced Binary Trees (1972), for leftist heaps.
 * @see Donald Knuth: The Art of Computer Programming, volume 1, chapter 2.5, for lists of free blocks by size.
 * @module
 */

import { Encoded } from "../_values/encoded.ts";
import { Memory } from "../_values/memory.ts";

/** The order in which items come out. */
export type Order = "FIFO" | "LIFO" | "PRIORITY";

/** The words: where the first item and the last one are, what was never used, how many came; then the free blocks. */
const FIRST = 0;
const LAST = 1;
const FRESH = 2;
const CAME = 3;
const FREE = 4;
/** Sizes of blocks are powers of two, from this one on. */
const MIN_SHIFT = 6;
const SIZES = 25;

/** How many words it takes besides the blocks. */
export const ITEMS_WORDS = FREE + SIZES;

/** The words of a block: its size, how its value is encoded, and how long that is. */
const SHIFT = 0;
const ENCODING = 1;
const LENGTH = 2;
/** The block behind it in a list, or its left child in a heap; its right child, its rank, and when it came. */
const NEXT = 3;
const LEFT = 3;
const RIGHT = 4;
const RANK = 5;
const NUMBER = 6;
/** Its priority, as a float64. */
const PRIORITY = 4;
const HEADER_BYTES = 40;

/** No block. */
const NONE = 0;

/** The items that begin at a word, and take the rest of the memory. */
export class Items {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #memory: Memory;
  readonly #at: number;
  readonly #order: Order;

  constructor(words: Int32Array, at: number, order: Order) {
    this.#words = words;
    this.#numbers = new Float64Array(words.buffer);
    this.#memory = new Memory(words.buffer as SharedArrayBuffer);
    this.#at = at;
    this.#order = order;
    if (words[at + FRESH] === 0) this.#clear();
  }

  /** Forgets all blocks: memory in small pieces is one again. */
  #clear(): void {
    const [words, at] = [this.#words, this.#at];
    words.fill(NONE, at + FREE, at + ITEMS_WORDS);
    words[at + FRESH] = Math.ceil((at + ITEMS_WORDS) * 4 / 8) * 8;
  }

  /** Whether a value can have room when there is no other one. */
  static fits(payload: Encoded, bytes: number): boolean {
    return 2 ** shiftFor(payload) <= bytes - ITEMS_WORDS * 4;
  }

  /**
   * Puts an item in.
   *
   * @returns `false` when there is no room for it.
   */
  put(payload: Encoded, priority: number): boolean {
    const block = this.#allocate(shiftFor(payload));
    if (block === NONE) return false;
    const [words, at] = [this.#words, this.#at];
    const word = block / 4;
    words[word + ENCODING] = payload.encoding;
    words[word + LENGTH] = payload.write(this.#memory, block + HEADER_BYTES);
    words[word + NEXT] = words[word + RIGHT] = NONE;
    switch (this.#order) {
      case "FIFO":
        if (words[at + FIRST] === NONE) words[at + FIRST] = block;
        else words[words[at + LAST] / 4 + NEXT] = block;
        words[at + LAST] = block;
        break;
      case "LIFO":
        words[word + NEXT] = words[at + FIRST];
        words[at + FIRST] = block;
        break;
      case "PRIORITY":
        words[word + RANK] = 1;
        words[word + NUMBER] = ++words[at + CAME];
        this.#numbers[block / 8 + PRIORITY] = priority;
        words[at + FIRST] = this.#merge(words[at + FIRST], block);
    }
    return true;
  }

  /** Takes the next item out, of which there must be one. */
  take(): { payload: Encoded; priority: number } {
    const [words, at] = [this.#words, this.#at];
    const block = words[at + FIRST];
    const word = block / 4;
    const payload = Encoded.read(words[word + ENCODING], this.#memory, block + HEADER_BYTES, words[word + LENGTH]);
    const isHeap = this.#order === "PRIORITY";
    words[at + FIRST] = isHeap ? this.#merge(words[word + LEFT], words[word + RIGHT]) : words[word + NEXT];
    const priority = this.#numbers[block / 8 + PRIORITY];
    if (words[at + FIRST] === NONE) this.#clear();
    else this.#free(block);
    return { payload, priority };
  }

  /** Merges two heaps. It calls itself once for each block on a way to the right, of which there are few. */
  #merge(a: number, b: number): number {
    if (a === NONE) return b;
    if (b === NONE) return a;
    if (this.#isBefore(b, a)) [a, b] = [b, a];
    const words = this.#words;
    const word = a / 4;
    words[word + RIGHT] = this.#merge(words[word + RIGHT], b);
    const [left, right] = [words[word + LEFT], words[word + RIGHT]];
    if (this.#rankOf(left) < this.#rankOf(right)) [words[word + LEFT], words[word + RIGHT]] = [right, left];
    words[word + RANK] = this.#rankOf(words[word + RIGHT]) + 1;
    return a;
  }

  #rankOf(block: number): number {
    return block === NONE ? 0 : this.#words[block / 4 + RANK];
  }

  #isBefore(a: number, b: number): boolean {
    const [first, second] = [a, b].map((block) => this.#numbers[block / 8 + PRIORITY]);
    if (first !== second) return first < second;
    return ((this.#words[a / 4 + NUMBER] - this.#words[b / 4 + NUMBER]) | 0) < 0;
  }

  #allocate(shift: number): number {
    const words = this.#words;
    const free = this.#at + FREE - MIN_SHIFT;
    const block = words[free + shift];
    if (block !== NONE) {
      words[free + shift] = words[block / 4 + NEXT];
      return block;
    }
    const fresh = words[this.#at + FRESH];
    if (fresh + 2 ** shift <= words.byteLength) {
      words[this.#at + FRESH] = fresh + 2 ** shift;
      words[fresh / 4 + SHIFT] = shift;
      return fresh;
    }
    // A larger one, as a whole.
    for (let larger = shift + 1; larger < MIN_SHIFT + SIZES; larger++) {
      const other = words[free + larger];
      if (other === NONE) continue;
      words[free + larger] = words[other / 4 + NEXT];
      return other;
    }
    return NONE;
  }

  #free(block: number): void {
    const words = this.#words;
    const free = this.#at + FREE - MIN_SHIFT + words[block / 4 + SHIFT];
    words[block / 4 + NEXT] = words[free];
    words[free] = block;
  }
}

function shiftFor({ room }: Encoded): number {
  return Math.max(MIN_SHIFT, Math.ceil(Math.log2(HEADER_BYTES + room)));
}
