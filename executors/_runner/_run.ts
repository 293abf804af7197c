/**
 * A task's run: it ends once, by what comes first. The task returns, throws, calls `Deno.exit()` or `self.close()`,
 * leaves a rejection unhandled, or throws in a timer.
 *
 * @module
 */

import { ensureStack, LOADING } from "../../futures/stack.ts";
import { EXIT, isExit, outcomeOf } from "../../futures/task_exit.ts";
import { TaskExitError } from "../../futures/errors.ts";
import type { Encoded } from "../_values/encoded.ts";
import { holding } from "../_queue/holders.ts";
import { RecordType } from "../_queue/protocol.ts";

/** A task as the runner knows it; its port adds the number by which it knows the task. */
export interface RunnerTask {
  readonly fn: number;
  readonly flags: number;
  /** What its function is called with; nothing from then on. */
  payload: Encoded;
}

/** What became of a run, as the owner is told. */
export interface Reply {
  readonly type: number;
  readonly payload: Encoded;
  /** How long an item took, as `stepsOf()` says it. */
  readonly steps?: number;
}

/** What a run needs of the worker that it is in. */
export interface RunWorker {
  /** An error of a function, with what is known about its cause. */
  explain(fn: number, error: unknown): unknown;
  /** Says that this worker cannot go on: a task has changed what it needs. */
  abandonWorker(error: unknown): void;
}

/** The runs of this thread that what runs now may belong to. A thread runs one task at a time. */
export const current: {
  /** The one that holds the thread. */
  run: Run | undefined;
  /** The one whose outcome is being encoded: what getters of the outcome do is its own. */
  encoded: Run | undefined;
} = { run: undefined, encoded: undefined };

/**
 * A run, which ends once and is told once.
 *
 * To encode an outcome calls getters of it, and these may do whatever a task may, also end this run: by `Deno.exit()`,
 * or by an error that is reported. What ended it so is told in place of the outcome, when that has been encoded:
 * nothing of the task's runs after that.
 */
export abstract class Run<W extends RunWorker = RunWorker> {
  isOver = false;
  /** Whether it was stopped, or ended by a call or by an error beside it: what it holds it will not release. */
  isCutOff = false;
  /** Lets the thread go on to the next task. */
  onOver: (() => void) | undefined;
  #isEncoding = false;
  /** What ended it while its outcome was being encoded. */
  #interruption: { error: unknown } | undefined;
  protected readonly worker: W;
  readonly #fn: number;

  constructor(worker: W, fn: number) {
    this.worker = worker;
    this.#fn = fn;
  }

  /** What the caller calls its task. */
  get name(): string | undefined {
    return undefined;
  }
  /** The task that it is of; an initializer's run is of none. */
  abstract readonly task: RunnerTask | undefined;
  /** Called when it goes on after this turn. */
  onAwait(): void {}
  /** Whether it was to end. */
  protected isStopped(): boolean {
    return false;
  }
  /** Encodes an outcome. */
  protected abstract encode(type: number, outcome: unknown): Reply;
  /** Tells what became of it, and whether nothing of it runs any more. */
  protected abstract tell(reply: Reply, isFree: boolean): void;

  /** Ends the run, unless something else has. */
  end(type: number, outcome: unknown, isFree = false): void {
    if (this.isOver) return;
    if (this.#isEncoding) {
      // Not encoded here: an error that is reported while another one is, as by a getter of this one, would end the
      // worker.
      this.#interruption ??= { error: outcome };
      return;
    }
    this.#isEncoding = true;
    // Before it is told, as the task's slot may be another one's then. Only who may hold something wants to know.
    if (holding.isNamed) this.isCutOff ||= this.isStopped();
    current.encoded = this;
    try {
      const reply = this.encode(type, type === RecordType.ERROR ? this.#explain(outcome) : outcome);
      this.isOver = true;
      this.tell(reply, isFree);
    } catch (error) {
      this.isOver = true;
      this.worker.abandonWorker(error);
    }
    current.encoded = undefined;
    this.onOver?.();
  }

  #explain(error: unknown): unknown {
    try {
      return this.attempt(() => this.worker.explain(this.#fn, error));
    } catch (error) {
      return error;
    }
  }

  /** Encodes something, which may run anything; throws also what has ended the run meanwhile. */
  protected attempt<T>(encode: () => T): T {
    this.#interruption = undefined;
    let value: T | undefined;
    try {
      value = encode();
    } catch (error) {
      if (!this.#isInterrupted()) throw isExit(error) ? outcomeOf(error) : error;
    }
    if (this.#isInterrupted()) throw this.#interruption!.error;
    return value as T;
  }

  #isInterrupted(): boolean {
    return this.#interruption !== undefined;
  }
}

/** Ends a run that calls a function which would end its worker, and unwinds its task. */
export function exit(run: Run | undefined, how: string, exitCode: number): never {
  // Before anything is changed: an overflow in the midst of the end would leave a run that never ends.
  ensureStack(LOADING);
  const task = run?.name === undefined ? "The task" : `Task ${run.name}`;
  const outcome = new TaskExitError(`${task} called ${how}, which ended the task and not its worker`, exitCode);
  if (run !== undefined) run.isCutOff = true;
  run?.end(RecordType.ERROR, outcome);
  // Should the task catch this and go on, what it returns comes too late. Not the outcome itself: the task could add
  // getters.
  throw Object.defineProperty(new TaskExitError(outcome.message, exitCode), EXIT, { value: outcome });
}
