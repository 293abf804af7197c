/** Ends the process that imports it, past `Deno.exit()`. */
import { endAbruptly } from "../_tasks.ts";

endAbruptly(7);

export function never(): number {
  return 1;
}
