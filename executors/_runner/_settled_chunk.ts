/**
 * A chunk of a map in which a failure ends nothing.
 *
 * @module
 */

import { decodeItems, type Items } from "../_values/codec.ts";
import type { Encoded } from "../_values/encoded.ts";
import { encodeError, encodeSettled } from "../_values/outcome.ts";
import { RecordType } from "../_queue/protocol.ts";
import type { Reply, RunnerTask } from "./_run.ts";
import { Timer } from "./_timer.ts";

/** What this needs of the worker. */
interface SettlingWorker {
  readonly port: {
    readonly sameProcess: boolean;
    reply(task: RunnerTask, type: number, payload: Encoded, steps: number, isFree: boolean): void;
  };
  abandonWorker(error: unknown): void;
}

/** The outcomes of a chunk's items, each of which is a run of its own. */
export class SettledChunk {
  readonly #worker: SettlingWorker;
  readonly #task: RunnerTask;
  readonly timer: Timer = new Timer();
  /** `undefined` when they cannot be read, and that was told. */
  readonly items: Items | undefined;
  readonly #outcomes: Encoded[] = [];
  readonly #failed: number[] = [];

  constructor(worker: SettlingWorker, task: RunnerTask) {
    this.#worker = worker;
    this.#task = task;
    try {
      this.items = decodeItems(task.payload);
    } catch (error) {
      this.#fail(error, true);
    }
  }

  /** Takes what became of the next item. */
  add({ type, payload }: Reply): void {
    const { sameProcess } = this.#worker.port;
    try {
      payload.takeMoved("result");
    } catch (error) {
      [type, payload] = [RecordType.ERROR, encodeError(error, sameProcess)];
    }
    if (type === RecordType.ERROR) this.#failed.push(this.#outcomes.length);
    this.#outcomes.push(payload);
  }

  /** Tells the outcomes, when there are all. */
  reply(isFree: boolean): void {
    let payload: Encoded;
    try {
      payload = encodeSettled(this.#outcomes, this.#failed);
    } catch (error) {
      this.#fail(error, isFree);
      return;
    }
    const steps = this.timer.stepsFor(this.#outcomes.length);
    this.#tell({ type: RecordType.VALUE, payload, steps }, isFree);
  }

  /** Tells that no item has an outcome of its own. */
  #fail(error: unknown, isFree: boolean): void {
    this.#tell({ type: RecordType.ERROR, payload: encodeError(error, this.#worker.port.sameProcess) }, isFree);
  }

  #tell({ type, payload, steps = 0 }: Reply, isFree: boolean): void {
    try {
      this.#worker.port.reply(this.#task, type, payload, steps, isFree);
    } catch (error) {
      this.#worker.abandonWorker(error);
    }
  }
}
