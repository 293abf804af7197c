/** `examples/arcfour.ts` as a user runs it. The speed-up itself is for quiet machines: here the table has to add up. */

import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../_helpers.ts";
import { assertAsOnPage, assertCannotUse, assertTable, linesOf, runExample } from "./_run.ts";
import { arcfour, COMMAND } from "../../examples/arcfour.ts";

for (const executor of ["processes", "threads"]) {
  test(`arcfour.ts --executor ${executor} prints a line per number of workers, and the speed-ups add up`, async () => {
    const args = ["--executor", executor, "--workers", "2,1", "--rounds", "3"];
    const [vectors, jobs, empty, head, ...rows] = linesOf(await runExample("arcfour.ts", args));
    assertEquals(vectors, "RC4 agrees with 3 keys of RFC 6229");
    assertEquals(jobs, `12 jobs of 149 to 384 KiB, 3 times each, on ${executor}`);
    assertEquals(empty, "");
    assertTable(head, rows, [2, 1]);
  });
}

test("arcfour.ts takes processes, and 1 worker to as many as there are cores, by itself", async () => {
  const run = await runExample("arcfour.ts", ["--rounds", "2"]);
  const [, jobs, empty, head, ...rows] = linesOf(run);
  assertMatch(jobs, /, on processes$/);
  assertEquals(empty, "");
  assertTable(head, rows, Array.from({ length: Math.min(navigator.hardwareConcurrency, 12) }, (_, i) => i + 1));
  assertAsOnPage("arcfour.ts", run.stdout);
});

test("arcfour() gives the streams of RFC 6229, also for other keys, and takes them away again", () => {
  for (
    const [key, stream] of [
      ["0102030405", "b2396305f03dc027ccc3524a0a1118a86982944f18fc82d589c403a47a0d0919"],
      ["01020304050607", "293f02d47f37c9b633f2af5285feb46be620f1390d19bd84e2e0fd752031afc1"],
      ["0102030405060708", "97ab8a1bf0afb96132f2f67258da15a88263efdb45c4a18684ef87e6b19e5b09"],
      ["833222772a", "80ad97bdc973df8a2e879e92a497efda20f060c2f2e5126501d3d4fea10d5fc0"],
    ]
  ) {
    const bytes = arcfour(Uint8Array.fromHex(key), new Uint8Array(32));
    assertEquals(bytes.toHex(), stream);
    assertEquals(arcfour(Uint8Array.fromHex(key), bytes), new Uint8Array(32));
  }
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
  test(`arcfour.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
}
