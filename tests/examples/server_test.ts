/**
 * `examples/real/server.ts` as a user runs it: a child process, requests to it, and signals that end it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMAND, render } from "../../examples/real/server.ts";
import { ThreadPoolExecutor } from "../../mod.ts";
import { test, until } from "../_helpers.ts";
import { assertAsOnPage, assertCannotUse, linesOf, type Run, runExample } from "./_run.ts";

const NAME = "real/server.ts";
const PAGE = "executors/README.md";
const OPTIONS = { bound: 65_000 };

/** Runs the server with one thread, and sends it a signal when `use` is done. */
async function runServer(
  args: string[],
  use: (url: string) => Promise<void>,
  signal: Deno.Signal = "SIGTERM",
): Promise<Run> {
  let using: Promise<void> | undefined;
  const run = await runExample(NAME, ["--port", "0", "-w", "1", ...args], 60_000, (stdout, program) => {
    const url = /^(http:\S+) .*\n/.exec(stdout)?.[1];
    if (url === undefined || using !== undefined) return;
    using = use(url).finally(() => program.kill(signal));
    using.catch(() => {}); // it is awaited below
  });
  await using;
  // Windows knows no signals: the program was killed.
  if (Deno.build.os === "windows") run.code = 0;
  return run;
}

async function get(url: string, init?: RequestInit): Promise<[status: number, text: string]> {
  const response = await fetch(url, init);
  return [response.status, await response.text()];
}

/** What the pool of the server does. */
async function statsOf(url: string): Promise<Record<string, number>> {
  return JSON.parse((await get(`${url}stats`))[1]);
}

/** Waits until the pool of the server does what it should. */
async function untilStats(url: string, wanted: (stats: Record<string, number>) => boolean) {
  while (!wanted(await statsOf(url))) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("server.ts shows the pages of the folder, and none outside of it", async () => {
  const run = await runServer([], async (url) => {
    assertEquals(await get(`${url}ping`), [200, "pong\n"]);
    const [status, html] = await get(url + PAGE);
    assertEquals(status, 200);
    assertStringIncludes(html, "<h1>Executors</h1>");
    assertStringIncludes(html, `<span class="hljs-keyword">import</span>`);
    assertStringIncludes((await get(url))[1], "<h1>");
    for (const path of ["none.md", "executors", "..%2f..%2fetc/passwd", "%2fetc%2fpasswd", "%"]) {
      assertEquals(await get(url + path), [404, "No such page\n"], path);
    }
    const { workers, done, failed } = await statsOf(url);
    assertEquals([workers, done, failed], [1, 2, 0]);
  });
  assertMatch(linesOf(run).join("\n"), /^http:\S+ \(threads: 1; 64 requests may wait for them\); Ctrl-C ends it$/);
  assertAsOnPage(NAME, run.stdout);
}, OPTIONS);

test("server.ts answers 503 when too many requests wait, and /ping as ever", async () => {
  const run = await runServer(["--queue", "1"], async (url) => {
    const responses = await Promise.all(Array.from({ length: 12 }, () => fetch(url + PAGE)));
    assertEquals(await get(`${url}ping`), [200, "pong\n"]);
    const { refused = [], good = [] } = Object.groupBy(responses, ({ status }) => status === 503 ? "refused" : "good");
    assert(refused.length > 0 && good.length > 0, `${refused.length} of 12`);
    for (const response of refused) {
      assertEquals([response.headers.get("retry-after"), await response.text()], ["1", "Too many requests wait\n"]);
    }
    for (const response of good) assertStringIncludes(await response.text(), "<h1>");
    assertEquals((await statsOf(url)).done, good.length);
  });
  assertEquals([run.stderr, run.code], ["", 0]);
}, OPTIONS);

test("server.ts does not compute for clients that are gone", async () => {
  const run = await runServer([], async (url) => {
    assertEquals((await get(url + PAGE))[0], 200); // the thread has loaded its modules
    const client = new AbortController();
    const { signal } = client;
    const requests = Array.from({ length: 40 }, () => get(url + PAGE, { signal }).catch(() => "gone"));
    await untilStats(url, ({ running, queued }) => running === 1 && queued > 20);
    client.abort();
    await untilStats(url, ({ running, queued }) => running + queued === 0);
    const { cancelled, lost } = await statsOf(url);
    assert(cancelled > 10, `${cancelled}`);
    assertEquals(lost, 0);
    assert((await Promise.all(requests)).includes("gone"));
    assertEquals((await get(url + PAGE))[0], 200);
  });
  assertEquals([run.stderr, run.code], ["", 0]);
}, OPTIONS);

test("render() ends between two blocks of code when its task is aborted", async () => {
  await using pool = new ThreadPoolExecutor(1);
  const block = "```ts\n" + 'const text = "a"; // one of many\n'.repeat(20) + "```\n\n";
  await pool.submit(render, block); // the thread has loaded the module
  // More work than the bound of this test, and a longer grace: nothing but the signal ends it in time.
  const future = pool.with({ grace: 60_000 }).submit(render, block.repeat(60_000));
  await until(() => future.running(), "it runs");
  future.abort("gone");
  assertEquals(await future.then(() => "done", (reason) => reason), "gone");
  assertStringIncludes(await pool.submit(render, block), "hljs-string");
  assertEquals(pool.stats().lost, 0);
});

if (Deno.build.os !== "windows") {
  test("server.ts answers what it has accepted when Ctrl-C is pressed, and ends", async () => {
    let answers: Promise<[status: number, text: string]>[] = [];
    const run = await runServer([], async (url) => {
      answers = Array.from({ length: 4 }, () => get(url + PAGE));
      await untilStats(url, ({ running, queued }) => running + queued === 4);
    }, "SIGINT");
    assertEquals((await Promise.all(answers)).map(([status]) => status), [200, 200, 200, 200]);
    assertEquals([run.stderr, run.code], ["", 0]);
  }, OPTIONS);
}

test("server.ts --compare compares the server without and with threads, by the second command", async () => {
  const run = await runExample(NAME, ["-w", "1", "--seconds", "1"], 60_000, undefined, 1);
  const lines = linesOf(run);
  assertAsOnPage(NAME, run.stdout, 1);
  const [without, threads] = [lines[3], lines[4]].map((line) => /([\d.]+) ms +([\d.]+) ms$/.exec(line)!.map(Number));
  // Without threads, a ping waits for the pages that were asked for before it. That is what the example is about.
  assert(threads[1] * 3 < without[1], run.stdout);
}, OPTIONS);

for (
  const [args, ...told] of [
    [["-p", "65536"], '--port "65536"', "a whole number from 0 to 65535"],
    [["--queue", "0"], '--queue "0"', "a whole number from 1 up"],
    [["--seconds", "0.5"], '--seconds "0.5"', "a whole number from 1 to 3600"],
    [["README.md"], '"README.md"', "one of --port, --workers"],
  ] as [string[], ...string[]][]
) test(`server.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
