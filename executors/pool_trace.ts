/**
 * What the `trace()` of a pool gives.
 *
 * @module
 */

/** An event of the Chrome trace format: see {@linkcode ChromeTrace}. */
export interface ChromeTraceEvent {
  /** The name of the task, or the kind of a metadata event. */
  readonly name: string;
  /** `"X"` for a task, from its start to its end; `"M"` for metadata, such as the name of a row. */
  readonly ph: "X" | "M";
  /** The number of the program's process. */
  readonly pid: number;
  /** The number of the row: the number of a worker, which is at least 1, or 0 for tasks that no worker ran. */
  readonly tid: number;
  /** The category of the event, by which viewers filter. */
  readonly cat?: string;
  /** When the task started, in microseconds since the trace was started. */
  readonly ts?: number;
  /** How long the task ran, in microseconds. */
  readonly dur?: number;
  /** Details: a {@linkcode TracedTask} for a task, the `name` or the place for a row. */
  readonly args: TracedTask | { readonly name: string } | { readonly sort_index: number };
}

/** The details of a task in a {@linkcode ChromeTraceEvent}. */
export interface TracedTask {
  /** How long the task waited before it started or was cancelled, in milliseconds. */
  readonly wait: number;
  /**
   * How the task ended. A task that was lost with its process or its pool counts as stopped, and a task whose arguments
   * cannot be sent as one that threw.
   */
  readonly outcome: "returned" | "threw" | "stopped" | "cancelled";
  /**
   * For an item of a `map`, how many items were sent together. Their time was measured together, so each of them is
   * shown with an equal part of it.
   */
  readonly together?: number;
}

/** A trace in the Chrome trace format, which viewers such as {@link https://ui.perfetto.dev} read. */
export interface ChromeTrace {
  /** The events: metadata first, then tasks in the order in which they ended. */
  readonly traceEvents: readonly ChromeTraceEvent[];
  /** The unit in which viewers show times. */
  readonly displayTimeUnit: "ms";
}

/** The result of `trace()`: a record of the tasks of a pool. It stops at the end of a block with `using`. */
export interface PoolTrace extends Disposable {
  /** Stops the trace: tasks that end later are not in it. It is safe to call `stop` again. */
  stop(): void;
  /**
   * Returns the trace so far. `JSON.stringify(trace)` makes the text of a file for viewers.
   *
   * @returns An event for each task that was submitted since the trace was started and has ended, and a name for each
   * row.
   */
  toJSON(): ChromeTrace;
}
