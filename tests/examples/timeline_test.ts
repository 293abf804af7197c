/** `examples/timeline.ts` as a user runs it: the trace that it saves, and the picture of it. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { type Bar, readChromeTrace } from "../_chrome_trace.ts";
import { temporaryPath, test } from "../_helpers.ts";
import { COMMAND } from "../../examples/timeline.ts";
import { drawTimeline } from "../../examples/_timeline_svg.ts";
import { assertAsOnPage, assertCannotUse, linesOf, runExample } from "./_run.ts";

/** How many bars have an outcome. */
function countBars(bars: readonly Bar[], outcome: string): number {
  return bars.filter(({ args }) => args.outcome === outcome).length;
}

/** Checks that a picture is well-formed, that all of it is within its edges, and has a colour in light and in dark. */
function assertPicture(svg: string) {
  const open: string[] = [];
  for (const [, end, name, attributes, isEmpty] of svg.matchAll(/<(\/?)(\w+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g)) {
    if (end) assertEquals(open.pop(), name);
    else if (!isEmpty) open.push(name);
    assert(!/NaN|Infinity|undefined|="-/.test(attributes), `${name} ${attributes}`);
  }
  assertEquals(open, []);
  assertEquals(svg.replaceAll(/<\/?\w+(\s+[\w:-]+="[^"<]*")*\s*\/?>/g, "").includes("<"), false, "no other tags");
  const [width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.slice(1).map(Number);
  for (const [, x, y, names, content] of svg.matchAll(/<text x="([^"]+)" y="([^"]+)" class="([^"]+)">([^<]*)</g)) {
    // A letter is narrower than 8 pixels in all fonts that the style names.
    const wide = content.replaceAll(/&\w+;/g, "&").length * 8;
    const left = names.includes("end") ? Number(x) - wide : names.includes("middle") ? Number(x) - wide / 2 : Number(x);
    assert(left >= 0 && Number(y) > 10 && Number(y) <= height, `${content} at ${x}, ${y}`);
    if (!names.includes("end")) assert(Number(x) <= width, content);
  }
  for (const [, x, w] of svg.matchAll(/<rect [^>]*?x="([\d.]+)"[^>]*? width="([\d.]+)"/g)) {
    assert(Number(x) + Number(w) <= width, `a bar to ${Number(x) + Number(w)}`);
  }
  const [light, dark] = svg.slice(svg.indexOf("<style>"), svg.indexOf("</style>")).split("@media");
  assertMatch(dark, /^ \(prefers-color-scheme: dark\)/);
  const used = new Set(
    [...svg.matchAll(/<(?:rect|path|line|text) [^>]*?class="([^"]+)"/g)].flatMap(([, c]) => c.split(" ")),
  );
  for (const name of used) {
    if (/^(end|middle|title)$/.test(name)) continue;
    for (const style of [light, dark]) assertMatch(style, new RegExp(`\\.${name} \\{ (fill|stroke): #`), name);
  }
}

for (const executor of ["processes", "threads"]) {
  test(`timeline.ts --executor ${executor} saves a trace, and a picture with a bar for each task`, async () => {
    const dest = join(temporaryPath("timeline"), "not", "yet");
    const run = await runExample("timeline.ts", ["--executor", executor, "--dest", dest]);
    const lines = linesOf(run);
    assertMatch(lines[0], /^<\w+ workers=4 idle=\d running=0 queued=0 done=57 failed=\d>$/);
    assertStringIncludes(lines[1], "timeline.json");
    assertStringIncludes(lines[2], "timeline.svg");
    assertEquals(lines.length, 3);
    if (executor === "processes") assertAsOnPage("timeline.ts", run.stdout.replaceAll(dest, "downloads"));

    const { traceEvents } = JSON.parse(await Deno.readTextFile(join(dest, "timeline.json")));
    // That was another process.
    const pids = new Set(traceEvents.map(({ pid }: { pid: number }) => pid));
    assertEquals(pids.size, 1);
    const text = JSON.stringify({
      traceEvents: traceEvents.map((event: object) => ({ ...event, pid: Deno.pid })),
      displayTimeUnit: "ms",
    });
    const { bars, rows } = readChromeTrace(text);
    const isOfProcesses = executor === "processes";
    assertEquals(bars.length, isOfProcesses ? 59 : 58);
    assertEquals(["returned", "threw", "stopped", "cancelled"].map((outcome) => countBars(bars, outcome)), [
      53,
      1,
      isOfProcesses ? 2 : 1,
      3,
    ]);
    const stopped = bars.filter(({ args }) => args.outcome === "stopped");
    assertEquals(stopped.map(({ name }) => name).sort(), isOfProcesses ? ["crash", "hang"] : ["hang"]);
    assert(stopped.find(({ name }) => name === "hang")!.dur >= 390_000);
    for (const { tid, ts, dur } of stopped) {
      // A process that was killed runs no more; a thread goes on.
      const after = bars.filter((other) => other.tid === tid && other.ts > ts + dur - 1);
      if (isOfProcesses) assertEquals(after, []);
    }
    assertEquals(rows.length, isOfProcesses ? 7 : 5, Deno.inspect(rows));

    const svg = await Deno.readTextFile(join(dest, "timeline.svg"));
    assertPicture(svg);
    for (const { name } of rows) assertStringIncludes(svg, `>${name}</text>`);
    assertEquals(svg.match(/<title>/g)!.length, bars.length);
    assertEquals(svg.match(/class="mark"/g)!.length, stopped.length);
    assertMatch(svg, new RegExp(`>${bars.length} tasks on ${executor}, \\d+ ms<`));
  });
}

test("drawTimeline() draws any trace: an empty one, a task of no time, names with signs, hours", () => {
  const wording = { workers: "threads", stopped: "stopped" };
  const row = (tid: number, name: string, place: number) => [
    { name: "thread_name", ph: "M", pid: 1, tid, args: { name } } as const,
    { name: "thread_sort_index", ph: "M", pid: 1, tid, args: { sort_index: place } } as const,
  ];
  const task = (name: string, tid: number, ts: number, dur: number, wait = 0) =>
    ({ name, ph: "X", cat: "task", pid: 1, tid, ts, dur, args: { wait, outcome: "returned" } }) as const;
  const draw = (...traceEvents: (ReturnType<typeof task> | ReturnType<typeof row>[number])[]) => {
    const svg = drawTimeline({ traceEvents, displayTimeUnit: "ms" }, wording);
    assertPicture(svg);
    return svg;
  };
  assertStringIncludes(draw(), "0 tasks on threads");
  draw(...row(1, "t_0", 0), task("now", 1, 0, 0));
  const svg = draw(
    ...row(1, 'a<b> & "c"', 1),
    ...row(0, "first", 0),
    task("x < y && z", 1, 5, 4e9, 7),
    task("b", 0, 4e9, 2),
  );
  assertStringIncludes(svg, "a&lt;b&gt; &amp; &quot;c&quot;");
  assertStringIncludes(svg, "x &lt; y &amp;&amp; z");
  assert(svg.indexOf(">first<") < svg.indexOf(">a&lt;"), "in the order that the trace says");
});

for (
  const [args, ...told] of [
    [["--executor", "fibers"], '--executor "fibers"', "one of processes, threads"],
    [["--workers", "0"], '--workers "0"', "a whole number from 1 to 16"],
    [["--dest", ""], '--dest ""', "the name of a directory"],
    [["fast"], "fast", "--executor"],
  ] as [string[], ...string[]][]
) {
  test(`timeline.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
}
