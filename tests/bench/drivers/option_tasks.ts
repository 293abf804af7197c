/** The tasks of the rows about options: they use what a task can know of itself. */

// By its place: processes start in the folder of the other libraries, where no import map has the name.
import { currentTask, reportProgress } from "../../../mod.ts";

/** Looks at its signal. */
export function heed(): boolean {
  return currentTask()!.signal.aborted;
}

/** Reports its progress once. */
export function report(): void {
  reportProgress(1);
}
