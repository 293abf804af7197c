/** What README.md promises besides the blocks that `deno test --doc` runs: its size, and a program that never ends. */
import { assert, assertEquals } from "@std/assert";
import { test, within } from "./_helpers.ts";
import { blockOf, ENTRY, project } from "./_projects.ts";

const README = Deno.readTextFileSync(new URL("../README.md", import.meta.url));

test("README.md is read in some minutes: it has 900 to 1,100 words", () => {
  const words = README.split(/\s+/).filter((word) => word !== "").length;
  assert(900 <= words && words <= 1_100, `${words}`);
});

test("README.md's server answers with what threads have made", async () => {
  const folder = project({
    "deno.json": JSON.stringify({ imports: { "@concurrent/futures": ENTRY } }),
    "main.ts": blockOf(README, "Deno.serve("),
    "tasks.ts": 'export const render = (text: string) => `${text} by ${self.name.replace(/\\d+/g, "n")}`;',
  });
  await using server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-lock", "main.ts"],
    cwd: folder,
    env: { NO_COLOR: "1", DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let said = "";
  const address = (async () => {
    for await (const text of server.stderr.pipeThrough(new TextDecoderStream())) {
      said += text;
      const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(said)?.[0];
      if (url !== undefined) return url;
    }
    throw new Error(`It ended, and said: ${said}`);
  })();
  const url = await within(address, "the server's address");
  const answers = ["one", "two"].map(async (body) => await (await fetch(url, { method: "POST", body })).text());
  assertEquals(await within(Promise.all(answers), "its answers"), [
    "one by ThreadPoolExecutor-n_n",
    "two by ThreadPoolExecutor-n_n",
  ]);
});
