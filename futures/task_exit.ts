/**
 * What ends a task by unwinding it, such as `Deno.exit()`.
 *
 * @module
 */

/**
 * The key of a property that only what ends a task by unwinding it has, so that nothing here takes it for an ordinary
 * error. Its value is the outcome of the task.
 */
export const EXIT = Symbol("exit");

/** Whether something ends a task by unwinding it. */
export function isExit(error: unknown): boolean {
  try {
    return typeof error === "object" && error !== null && EXIT in error;
  } catch {
    // A proxy that refuses to be asked.
    return false;
  }
}

/** The outcome of a task that was ended by unwinding it. */
export function outcomeOf(exit: unknown): unknown {
  return (exit as { [EXIT]: unknown })[EXIT];
}
