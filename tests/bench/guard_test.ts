/** Nothing has become more than twice as slow: `_guard.ts` tells how that is measured. */

import { assert } from "@std/assert";
import { test } from "../_helpers.ts";
import { GUARD_ROWS, measureGuard } from "./_guard.ts";

/** Only a loss of more than half fails. */
const TOLERANCE = 2;

/** Milliseconds for all rows, and for a row that seems to have become slower. */
const BUDGET = 9_000;
const LONGEST = 6_000;
let spent = 0;

for (const row of GUARD_ROWS) {
  test(`${row.name}, is not twice as slow as it was`, async () => {
    const start = performance.now();
    const { ratio, rounds } = await measureGuard(row, TOLERANCE * row.usual, Math.min(LONGEST, BUDGET - spent));
    spent += performance.now() - start;
    assert(
      ratio <= TOLERANCE * row.usual,
      `It takes ${ratio.toPrecision(3)} times the floor, and took ${row.usual} times (${rounds} rounds)`,
    );
  });
}
