/** The moment at which something that happens there comes in time or too late, which depends on the machine. */

/** How little the length of a round changes at least, in milliseconds. */
const LEAST = 0.02;

/**
 * Finds how long something has to take so that it ends just when something else happens: after a round that was too
 * short the next one is longer, and the other way round, by half as much each time that the border lies between.
 */
export class Border {
  /** How long the next round is to take, less how much later the other thing is to happen. */
  #at: number;
  #step: number;
  #wasLong: boolean | undefined;

  /** @param ms How long the first round is to take. */
  constructor(ms: number) {
    this.#at = ms;
    this.#step = ms / 2;
  }

  /** How long the next round is to take, in milliseconds. */
  get ms(): number {
    return Math.max(0, this.#at);
  }

  /** How much later the other thing is to happen, in milliseconds: else no round is too short on a slow machine. */
  get later(): number {
    return Math.max(0, -this.#at);
  }

  /** Takes in whether a round has taken too long. */
  note(isLong: boolean): void {
    const hasCrossed = this.#wasLong === !isLong;
    this.#step = hasCrossed ? Math.max(LEAST, this.#step / 2) : this.#step * 1.5;
    this.#wasLong = isLong;
    this.#at += isLong ? -this.#step : this.#step;
  }
}
