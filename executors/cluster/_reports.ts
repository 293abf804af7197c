/**
 * What a task says of its progress, on its way to the server. The newest wins where that is slow: then older ones would
 * fill the memory of the node.
 *
 * @module
 */

/** What one task says, to one reader. */
export class Reports<T> {
  readonly #send: (value: T) => Promise<unknown>;
  readonly #most: number;
  #underWay = 0;
  /** The newest one that waits. */
  #kept: [value: T] | undefined;

  /**
   * @param send Sends one.
   * @param most How many may be under way.
   */
  constructor(send: (value: T) => Promise<unknown>, most: number) {
    this.#send = send;
    this.#most = most;
  }

  say(value: T): void {
    if (this.#underWay < this.#most) void this.#pass(value);
    else this.#kept = [value];
  }

  /** The task is done: what it has said last goes before its result. */
  end(): void {
    if (this.#kept === undefined) return;
    const [value] = this.#kept;
    this.#kept = undefined;
    void this.#pass(value);
  }

  async #pass(value: T): Promise<void> {
    this.#underWay++;
    // There may be no connection, and a newer one replaces it then.
    await this.#send(value).catch(() => {});
    this.#underWay--;
    this.end();
  }
}
