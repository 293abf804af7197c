/** `examples/sha.ts` as a user runs it. The speed-up itself is for quiet machines: here the table has to add up. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "../_helpers.ts";
import { assertAsOnPage, assertCannotUse, assertTable, linesOf, runExample } from "./_run.ts";
import { createHash } from "node:crypto";
import { COMMAND, sha } from "../../examples/sha.ts";

for (const executor of ["processes", "threads"]) {
  test(`sha.ts --executor ${executor} prints a line for each number of workers, and the speed-ups add up`, async () => {
    const args = ["--executor", executor, "--workers", "2,1", "--rounds", "2"];
    const [jobs, empty, head, ...rows] = linesOf(await runExample("sha.ts", args));
    assertEquals(jobs, `12 SHA-256 jobs of 2 MiB each, on ${executor}`);
    assertEquals(empty, "");
    assertTable(head, rows, [2, 1]);
  });
}

test("sha.ts takes processes, and 1 worker to as many as there are cores, by itself", async () => {
  const run = await runExample("sha.ts", ["--rounds", "2"]);
  const [jobs, empty, head, ...rows] = linesOf(run);
  assertMatch(jobs, /, on processes$/);
  assertEquals(empty, "");
  assertTable(head, rows, Array.from({ length: Math.min(navigator.hardwareConcurrency, 12) }, (_, i) => i + 1));
  assertAsOnPage("sha.ts", run.stdout);
});

test("sha() hashes 1 MiB per round, the same for the same seed", () => {
  const words = new Uint32Array(2 ** 18);
  let random = 7;
  const hash = createHash("sha256");
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < words.length; i++) {
      for (const by of [13, -17, 5]) random ^= by > 0 ? random << by : random >>> -by;
      words[i] = random;
    }
    hash.update(new Uint8Array(words.buffer));
  }
  assertEquals(sha(7, 2), hash.digest("hex"));
  assertEquals(sha(7, 1), sha(7, 1));
  assert(sha(7, 1) !== sha(8, 1));
});

for (
  const [args, ...told] of [
    [["--executor", "fibers"], '--executor "fibers"', "one of processes, threads"],
    [["--executor", "toString"], '--executor "toString"', "one of processes, threads"],
    [["--workers", "0"], '--workers "0"', "1 to 12"],
    [["--workers", "13"], '--workers "13"', "1 to 12"],
    [["--workers", "1,,2"], '--workers "1,,2"', "1 to 12"],
    [["--workers", "two"], '--workers "two"', "1 to 12"],
    [["--rounds", "0"], '--rounds "0"', "whole number"],
    [["--rounds", "1e9"], '--rounds "1e9"', "whole number"],
    [["--rounds"], "--rounds without a value", "whole number"],
    [["--fast"], "--fast", "--executor"],
    [["threads"], "threads", "--executor"],
  ] as [string[], ...string[]][]
) {
  test(`sha.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
}
