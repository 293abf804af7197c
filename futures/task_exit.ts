/**
 * What ends a task by unwinding it, such as `Deno.exit()`.
 *
 * @module
 */

/**
 * The key of a property of the errors that end a task by unwinding it. No other error has it, so the library can tell
 * them apart. Its value is the outcome of the task.
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
