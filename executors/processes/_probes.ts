/**
 * When a child is asked whether all has arrived that was sent to it: a task, or a program that it starts, may read its
 * input.
 *
 * @module
 */

/** After how many probes without an answer the next ones carry bytes, and how many bytes these are at most. */
const FIRST_PADDED = 3;
const MAX_PADDING = 1 << 24;

/**
 * More than a pipe holds, in bytes: 64 KiB on Linux, unless a program asks for more, which is at most this. Where so
 * much goes into the pipe of a child that computes alone, somebody else reads it.
 */
const FLOOD = (1 << 20) + (1 << 16);

/** After how many looks the answer to a flood that went into the pipe has been read, if there is one. */
const LOOKS_AFTER_FLOOD = 2;

/** How many probes are sent one at each look, and the maximum number of looks between later ones. */
const FREQUENT_PROBES = 8;
const MAX_LOOKS_BETWEEN = 128;

/** See above. */
export class Probes {
  /** What the last one said, and how many were sent since the last answer. */
  #sent = 0;
  #unanswered = 0;
  /** How many were sent since the last message of another kind, and after how many looks the next one comes. */
  #count = 0;
  #looksLeft = 1;
  /** Whether the last one was a flood, and at how many looks that had gone into the pipe, and had no answer. */
  #isFlood = false;
  #floodedLooks = 0;

  /** Whether the last one has no answer, and carries more than a pipe holds. */
  get isFlooding(): boolean {
    return this.isAnswerDue && this.#isFlood;
  }

  /** Whether one has no answer. */
  get isAnswerDue(): boolean {
    return this.#unanswered > 0;
  }

  /** A message is sent: the next probes follow soon. */
  onMessage(): void {
    this.#count = 0;
    this.#looksLeft = 1;
  }

  /**
   * To be called now and then while an answer of the child is due and nothing waits in its pipe.
   *
   * @param isReading Whether it reads its input. A child that computes alone does not: then it is enough to see that
   * somebody has read more than a pipe holds.
   * @returns How many bytes a probe has to carry that is to be sent now; `undefined` where none is; or that somebody
   * else has read them.
   */
  next(isReading: boolean): number | undefined | "robbed" {
    if (this.#unanswered === 0 && --this.#looksLeft > 0) return undefined;
    if (isReading) return this.#unanswered < FIRST_PADDED ? 0 : Math.min(2 ** (10 + this.#unanswered), MAX_PADDING);
    if (this.#unanswered === 0) return 0;
    // Others may be left from when it started.
    if (!this.#isFlood) return FLOOD;
    return ++this.#floodedLooks < LOOKS_AFTER_FLOOD ? undefined : "robbed";
  }

  /** A probe was sent, which said that number, and carried so many bytes. */
  onSent(sent: number, bytes: number): void {
    this.#sent = sent;
    this.#isFlood = bytes === FLOOD;
    this.#unanswered++;
    this.#floodedLooks = 0;
    this.#looksLeft = Math.min(2 ** Math.max(0, ++this.#count - FREQUENT_PROBES), MAX_LOOKS_BETWEEN);
  }

  /** Whether that is the answer to the last one. Then nothing is due. */
  isAnsweredBy(sent: number): boolean {
    if (sent !== this.#sent) return false;
    this.#unanswered = 0;
    return true;
  }
}
