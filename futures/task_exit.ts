/**
 * What ends a task by unwinding it, such as `Deno.exit()`.
 *
 * @module
 */

/**
 * Set on what ends a task by unwinding it, so that nothing here takes it for an ordinary error: the error that is told of
 * the task.
 */
export const EXIT = Symbol("exit");

/** Whether something ends a task by unwinding it. */
export function isExit(error: unknown): boolean {
  try {
    return typeof error === "object" && error !== null && EXIT in error;
  } catch {
    // A proxy that cannot be asked.
    return false;
  }
}

/** What is told of a task that was ended by unwinding it. */
export function outcomeOf(exit: unknown): unknown {
  return (exit as { [EXIT]: unknown })[EXIT];
}
