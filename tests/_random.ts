/** Random numbers that a seed tells. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer of at least 0 and below `end`. */
  below(end: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.#state / 2 ** 32 * end);
  }

  /** One of these. */
  of<T>(all: readonly T[]): T {
    return all[this.below(all.length)];
  }

  /** The same items in another order. */
  shuffled<T>(items: readonly T[]): T[] {
    const all = [...items];
    for (let i = all.length; i > 1; i--) {
      const j = this.below(i);
      [all[i - 1], all[j]] = [all[j], all[i - 1]];
    }
    return all;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(length).map(() => this.below(256));
  }
}
