/** Kills the process that imports it. */
import { killSelf } from "../_tasks.ts";

killSelf("SIGKILL");

export function never(): number {
  return 1;
}
