/** This package in a bundle, and beside one. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "./_helpers.ts";
import { ENTRY, project, run, runFile } from "./_projects.ts";

const MAIN = `import { ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
  for (const Pool of Deno.build.standalone ? [ThreadPoolExecutor] : [ThreadPoolExecutor, ProcessPoolExecutor]) {
    for (const isBlocking of [false, true]) {
      const pool = new Pool(1);
      const future = pool.submit((n: number) => 2 * n, 21);
      try {
        console.log(isBlocking ? future.result(10_000) : await future);
      } catch (error) {
        console.log(error.message);
      }
      await pool.shutdown();
    }
  }`;

/** Makes a bundle of {@linkcode MAIN} as `out.js`, and returns its folder. */
async function bundle(args = ["bundle", "--output=out.js", "main.ts"]): Promise<string> {
  const folder = project({
    "deno.json": JSON.stringify({ imports: { "@concurrent/futures": ENTRY } }),
    "main.ts": MAIN,
  });
  const { code, stderr } = await run(Deno.execPath(), args, { cwd: folder });
  assertEquals(code, 0, stderr);
  return folder;
}

test(
  "executors in a bundle say that workers find no modules there, and how to fix it, also while blocked",
  async () => {
    const folder = await bundle();
    const { stdout, stderr } = await runFile(`${folder}/out.js`);
    assertEquals(stderr, "");
    const lines = stdout.trim().split("\n");
    assertEquals(lines.length, 4, stdout);
    for (const [i, line] of lines.entries()) {
      assertStringIncludes(line, `Cannot start a ${i < 2 ? "thread" : "process"} from a bundle`);
      assertStringIncludes(line, "deno bundle --external=@concurrent/futures");
      assertStringIncludes(line, i < 2 ? "/_thread_worker.ts" : "/_broker_thread.ts");
    }
  },
  { bound: 60_000 },
);

test("ThreadPoolExecutor in a bundle that was compiled says so, too, without any permission", async () => {
  const folder = await bundle();
  Deno.writeTextFileSync(
    `${folder}/compiled.js`,
    `Object.defineProperty(Deno, "build", { value: { ...Deno.build, standalone: true } }); await import("./out.js");`,
  );
  const { stdout, stderr } = await runFile(`${folder}/compiled.js`, []);
  assertEquals([stdout.split("Cannot start a thread from a bundle").length, stderr], [3, ""]);
}, { bound: 60_000 });

test("executors run in a bundle that leaves this package out, by the command of executors/README.md", async () => {
  const page = Deno.readTextFileSync(new URL("../executors/README.md", import.meta.url));
  const folder = await bundle(/^deno (bundle .+)$/m.exec(page)![1].split(" "));
  const { stdout, stderr } = await runFile(`${folder}/out.js`);
  assertEquals([stdout, stderr], ["42\n42\n42\n42\n", ""]);
}, { bound: 60_000 });
