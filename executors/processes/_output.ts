/**
 * The standard output and error of this program, for what its children print.
 *
 * @module
 */

/** One of the two streams, to which several children write in turn. */
export class Output {
  readonly #stream: { write(bytes: Uint8Array): Promise<number> };
  #last: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** How many writes are not done yet. */
  pending = 0;

  constructor(stream: { write(bytes: Uint8Array): Promise<number> }) {
    this.#stream = stream;
  }

  /**
   * Writes all of the bytes after what others are writing. Where nobody reads any more they are dropped, so that
   * children go on.
   */
  async write(bytes: Uint8Array): Promise<void> {
    this.pending++;
    const done = this.#last.then(() => this.#writeAll(bytes));
    this.#last = done;
    await done;
    this.pending--;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength && !this.#isClosed;) {
      try {
        at += await this.#stream.write(bytes.subarray(at));
      } catch (error) {
        // Another program may have made the pipe non-blocking, and it is full.
        if (error instanceof Deno.errors.WouldBlock) await new Promise((resolve) => setTimeout(resolve, 1));
        else this.#isClosed = true;
      }
    }
  }
}
