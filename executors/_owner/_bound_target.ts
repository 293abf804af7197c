/**
 * How items of a map become futures some of whose arguments are bound to their function.
 *
 * @module
 */

import type { Future } from "../../futures/future.ts";
import type { MapTarget } from "../_map/map.ts";

/** Says when the last item is done, whose function can be forgotten then. */
export class BoundTarget implements MapTarget {
  readonly executor: object | undefined;
  readonly #target: MapTarget;
  readonly #unbind: () => void;
  #underWay = 0;
  #isClosed = false;

  constructor(target: MapTarget, unbind: () => void) {
    this.executor = target.executor;
    this.#target = target;
    this.#unbind = unbind;
  }

  submit(args: unknown[]): Future<unknown> {
    return this.#watch(this.#target.submit(args));
  }

  submitChunk(items: unknown[], isColumn: boolean, isSettled: boolean): Future<unknown> | undefined {
    const future = this.#target.submitChunk?.(items, isColumn, isSettled);
    return future && this.#watch(future);
  }

  room(): number | undefined {
    return this.#target.room?.();
  }

  whenRoom(): Future<void> {
    return this.#target.whenRoom!();
  }

  chunksize(submitted: number, left: number): number {
    return this.#target.chunksize(submitted, left);
  }

  close(): void {
    this.#isClosed = true;
    this.#unbindAtLast();
  }

  #watch(future: Future<unknown>): Future<unknown> {
    this.#underWay++;
    future.addDoneCallback(() => {
      this.#underWay--;
      this.#unbindAtLast();
    });
    return future;
  }

  #unbindAtLast(): void {
    if (this.#isClosed && this.#underWay === 0) this.#unbind();
  }
}
