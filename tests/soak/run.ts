/**
 * Runs the scenarios in full and prints what they took: `deno task soak`, or `deno task soak <text>` for those whose
 * names contain it. `SOAK_SEED=<seed>` repeats what was drawn at random, and `SOAK_SIZE=<n>` takes another size. The
 * exit code is 1 when one fails.
 */
import { guard, within } from "../_helpers.ts";
import { CLUSTER } from "./cluster.ts";
import { EXAMPLES } from "./examples.ts";
import { CONTROL } from "./control.ts";
import { FAULTS } from "./faults.ts";
import { LOAD, STREAMS } from "./load.ts";
import { RACES } from "./races.ts";
import { measure, type Measured, newSeed } from "./_scenario.ts";
import { STOPS } from "./storms.ts";
import { SYNC } from "./sync.ts";

/** How long one scenario may take, in milliseconds. */
const BOUND = 900_000;

const COLUMNS = ["tasks", "seconds", "tasks/s", "latest timer", "resident memory", ""] as const;

function cells({ tasks, seconds, latest, resident, more = "" }: Measured): string[] {
  return [
    tasks.toLocaleString("en"),
    seconds.toFixed(1),
    Math.round(tasks / seconds).toLocaleString("en"),
    latest === undefined ? "" : `${latest.toFixed(1)} ms`,
    resident.join(" → ") + " MiB",
    more,
  ];
}

/** One line of the table: what is a number to the right. */
function line(texts: readonly string[]): string {
  return texts.map((text, i) => i < COLUMNS.length - 1 ? text.padStart(17) : `   ${text}`).join("").trimEnd();
}

/** How many tasks, or what else a scenario counts; `undefined` for all of it. */
function givenSize(): number | undefined {
  const text = Deno.env.get("SOAK_SIZE");
  if (text === undefined) return undefined;
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  console.error(`SOAK_SIZE must be an integer of at least 1: ${text}`);
  Deno.exit(2);
}

if (import.meta.main) {
  const seed = newSeed();
  const size = givenSize();
  const all = [...LOAD, ...STREAMS, ...FAULTS, ...CONTROL, ...RACES, ...STOPS, ...SYNC, ...EXAMPLES, ...CLUSTER];
  const chosen = all.filter(({ name }) => Deno.args.every((text) => name.includes(text)));
  if (chosen.length === 0) {
    const names = all.map(({ name }) => `  ${name}`);
    console.error(`Unknown scenario: ${Deno.args.join(" ")}. The scenarios are\n${names.join("\n")}`);
    Deno.exit(2);
  }
  console.log(`seed ${seed}\n\n${line(COLUMNS)}`);
  let failed = 0;
  for (const scenario of chosen) {
    console.log(scenario.name);
    using _watchdog = guard(scenario.name, BOUND + 10_000);
    try {
      console.log(line(cells(await within(measure(scenario, size ?? scenario.fullSize, seed), "the scenario", BOUND))));
    } catch (error) {
      failed++;
      console.log("  FAILED");
      console.error(error);
    }
  }
  console.log(failed === 0 ? "\nAll passed" : `\n${failed} of ${chosen.length} failed`);
  // Not at the end of the event loop: what has failed may still be waiting for ever.
  Deno.exit(failed === 0 ? 0 : 1);
}
