/** `examples/copy_files.ts` as a user runs it. */

import { assertEquals } from "@std/assert";
import { test } from "../_helpers.ts";
import { copy } from "../../examples/copy_files.ts";
import { assertAsOnPage, linesOf, runExample } from "./_run.ts";

test("copy_files.ts copies four files and leaves none of them behind", async () => {
  const left = () => [...Deno.readDirSync(temporary)].filter(({ name }) => name.startsWith("copy_files_")).length;
  const probe = Deno.makeTempDirSync();
  const temporary = probe.replace(/[/\\][^/\\]*$/, "");
  Deno.removeSync(probe);
  const before = left();
  const run = await runExample("copy_files.ts");
  assertEquals(linesOf(run), [
    "dest1.txt: 21 bytes, the same as src1.txt",
    "dest2.txt: 42 bytes, the same as src2.txt",
    "dest3.txt: 63 bytes, the same as src3.txt",
    "dest4.txt: 84 bytes, the same as src4.txt",
  ]);
  assertEquals(left(), before);
  assertAsOnPage("copy_files.ts", run.stdout);
});

test("copy() of copy_files.ts really copies", () => {
  const directory = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${directory}/a`, "some text");
    copy(`${directory}/a`, `${directory}/b`);
    assertEquals(Deno.readTextFileSync(`${directory}/b`), "some text");
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
