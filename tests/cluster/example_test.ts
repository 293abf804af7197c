/** `examples/cluster/start.ts` as a user runs it: by one command. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertAsOnPage } from "../examples/_run.ts";
import { test } from "../_helpers.ts";
import { ignoreWithoutServer } from "./_kit.ts";
import { hasServer } from "./_redis.ts";

const NAME = "examples/cluster/start.ts runs the sha example on one node and on two, and downloads 20 flags";

if (!hasServer) ignoreWithoutServer(NAME);
else {
  test(NAME, async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--quiet",
        new URL("../../examples/cluster/start.ts", import.meta.url).pathname,
        "--rounds",
        "5",
      ],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const [text, problems] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assertEquals(code, 0, problems);
    assertAsOnPage("cluster/start.ts", text);
    assertMatch(text, /With one node:\n12 SHA-256 jobs of 5 MiB each: \d+\.\d\d s\n/);
    assertMatch(text, /With two nodes:\n12 SHA-256 jobs of 5 MiB each: \d+\.\d\d s\n/);
    const digests = text.match(/The first digest: [0-9a-f]{64}/g);
    assertEquals(digests?.length, 2);
    assertEquals(digests?.[0], digests?.[1]);
    assert(text.includes("BD BR CD CN DE EG ET FR ID IN IR JP MX NG PH PK RU TR US VN\n20 flags downloaded in"), text);
    assertEquals(problems.match(/Received SIGTERM, so it takes no more jobs/g)?.length, 2, problems);
  }, { bound: 60_000 });
}
