/**
 * What the program around a pool is doing: whether it only imports a task's module, or ends.
 *
 * @module
 */

import { InvalidStateError, ShutdownError } from "../../futures/errors.ts";
import { importingModule } from "../_functions/resolve.ts";

/** Whether the program is ending: nothing that is submitted from then on would be run. */
let hasEnded = false;

/** Notes the end of the program, before any listener of the program's own. */
function noteEndOfProgram(): void {
  hasEnded = true;
}

/** Looks out for the end of the program. */
export function watchEndOfProgram(): void {
  addEventListener("unload", noteEndOfProgram, { capture: true });
}

/** @throws {ShutdownError} The program is ending. */
export function refuseAfterEndOfProgram(): void {
  if (hasEnded) throw new ShutdownError("Cannot schedule new futures after the end of the program");
}

/** @throws {InvalidStateError} A worker is importing the task's module just now. */
export function refuseWhileImporting(action: string): void {
  const module = importingModule();
  if (module === undefined) return;
  throw new InvalidStateError(
    `Cannot ${action} while a worker imports the module of a task: ${module}. ` +
      "To fix it, guard the program there with if (import.meta.main)",
  );
}
