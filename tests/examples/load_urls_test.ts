/** `examples/load_urls.ts` as a user runs it. */

import { assert, assertEquals } from "@std/assert";
import { test } from "../_helpers.ts";
import { assertAsOnPage, linesOf, runExample } from "./_run.ts";

test("load_urls.ts prints the sizes of four pages and the failure of the fifth, as they become known", async () => {
  const run = await runExample("load_urls.ts");
  const lines = linesOf(run);
  const port = lines[0].match(/^http:\/\/127\.0\.0\.1:(\d+)\//)?.[1];
  assert(port !== undefined, lines[0]);
  assertEquals(lines.map((line) => line.replace(`http://127.0.0.1:${port}`, "")).sort(), [
    "/about is 0 bytes",
    "/made-up failed: HttpError: 404 Not Found",
    "/news is 40960 bytes",
    "/sports is 30000 bytes",
    "/weather is 512 bytes",
  ]);
  // They are asked for in the order of their sizes, and answered in the opposite one.
  const place = (path: string) => lines.findIndex((line) => line.includes(path));
  assert(place("/about") < place("/sports") && place("/weather") < place("/sports"), lines.join("\n"));
  assertAsOnPage("load_urls.ts", run.stdout);
});
