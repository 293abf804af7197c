/**
 * Runs the tests in lanes: each folder of `tests/` is a program of its own, or several where it takes long. Some of
 * them run at once, and those that measure at the end and alone. One program for all would break the census of workers
 * and children that each test takes at its end.
 *
 * `deno task test` runs what tests the library on this machine, `--all` also clusters, the examples and the registry,
 * and `--quick` what is worth running at each save; `deno task test threads cluster` runs the lanes of these folders.
 * `--slowest` lists the tests that took longest, and `--jobs=1` runs one lane after the other; by default, two lanes
 * run at once for each CPU. A lane that passed is one line; the output of one that failed is printed whole, and the end
 * names each test that failed and its file. The last line counts the tests of all lanes.
 */
import { parseArgs } from "@std/cli/parse-args";
import { writeExamples } from "./_examples.ts";
import { LINGERING, NO_SANITIZERS } from "./_pages.ts";

const ROOT = new URL("../", import.meta.url);

/**
 * The modules in a folder, and below, that have examples in their doc comments. Examples on pages are run by
 * `pages_test.ts`.
 */
function documented(path: string): string[] {
  return Array.from(Deno.readDirSync(new URL(path, ROOT))).flatMap(({ name, isDirectory }) => {
    if (isDirectory) return documented(`${path}${name}/`);
    const hasExamples = name.endsWith(".ts") && /^ *\* ```ts$/m.test(Deno.readTextFileSync(new URL(path + name, ROOT)));
    return hasExamples ? [path + name] : [];
  }).sort();
}

/** The lanes whose tests are the examples in doc comments. */
function docs(): Lane[] {
  const modules = ["mod.ts", ...["futures/", "executors/", "examples/"].flatMap(documented)];
  const lane = (name: string, isLingering: boolean, env: Record<string, string>) => {
    const examples = modules.filter((path) => path.startsWith(`${LINGERING}/`) === isLingering);
    return { name, folder: "docs", args: [], examples, seconds: examples.length / 6, env };
  };
  return [lane("docs 1/2", false, {}), lane("docs 2/2", true, NO_SANITIZERS)];
}

/** What `--quick` runs: folders and files. No load, no programs of their own, no servers. */
const QUICK = [
  ...["tests/quick.ts", "tests/futures/", "tests/protocol/", "tests/properties/", "tests/house_test.ts"],
  ...["tests/mod_test.ts", "tests/types_test.ts", "tests/task_ref_test.ts", "tests/lookup_text_test.ts"],
];

/**
 * Folders that need a server, a registry or long programs, and that test little else of the library than the others do.
 * They take as long as all others together, so they run by name and with `--all`, as in CI.
 */
const BY_NAME: readonly string[] = ["cluster", "examples", "registry"];

/** How long one lane may take before it counts as hung, in milliseconds. */
const BOUND = 1_080_000;

/** About how long a file takes, in seconds, where that is far from what most take; only for the order of lanes. */
const SECONDS: { readonly [path: string]: number } = {
  "tests/behaviour/processes_test.ts": 95,
  "tests/behaviour/threads_test.ts": 50,
  "tests/cluster/behaviour_control_test.ts": 17,
  "tests/cluster/behaviour_more_test.ts": 60,
  "tests/cluster/behaviour_test.ts": 28,
  "tests/cluster/engine_test.ts": 11,
  "tests/cluster/faults_test.ts": 15,
  "tests/cluster/keep_test.ts": 8,
  "tests/cluster/node_test.ts": 8,
  "tests/cluster/nodes_test.ts": 7,
  "tests/cluster/sharing_test.ts": 5,
  "tests/cluster/silence_test.ts": 14,
  "tests/cluster/stop_test.ts": 9,
  "tests/cpython/cpython_test.ts": 40,
  "tests/examples/control_test.ts": 18,
  "tests/examples/flags2_test.ts": 18,
  "tests/examples/flags_test.ts": 11,
  "tests/examples/server_test.ts": 12,
  "tests/load_test.ts": 22,
  "tests/pages_test.ts": 14,
  "tests/parallel/parallel_test.ts": 10,
  "tests/parallel/programs_test.ts": 10,
  "tests/processes/alone_test.ts": 23,
  "tests/processes/crash_end_test.ts": 20,
  "tests/processes/crash_test.ts": 13,
  "tests/processes/crash_values_test.ts": 11,
  "tests/processes/idle_test.ts": 5,
  "tests/processes/kill_test.ts": 16,
  "tests/processes/launch_test.ts": 14,
  "tests/processes/output_test.ts": 13,
  "tests/processes/permissions_test.ts": 21,
  "tests/processes/process_pool_test.ts": 15,
  "tests/processes/security_test.ts": 24,
  "tests/processes/stop_test.ts": 10,
  "tests/progress/terminal_test.ts": 10,
  "tests/protocol/pool_test.ts": 12,
  "tests/quick.ts": 15,
  "tests/registry/cluster_test.ts": 8,
  "tests/registry/first_use_test.ts": 15,
};
const MOST_TAKE = 3;

/** A folder that takes longer, in seconds, is several lanes: none shall be left alone at the end. */
const LONG = 60;

/** How many lanes run at once: two for each CPU, because a lane waits a part of its time. */
const JOBS = 2 * navigator.hardwareConcurrency;

/** Lanes that measure: they run one by one when all others have ended, because a busy core would be measured, too. */
const MEASURING: readonly string[] = ["bench"];

interface Lane {
  /** The folder's name, with `1/2` behind it where it is one of two. */
  readonly name: string;
  readonly folder: string;
  /** What `deno test` is given. */
  readonly args: readonly string[];
  /** Files whose examples are its tests, in place of those in `args`. */
  readonly examples?: readonly string[];
  readonly seconds: number;
  /** What its environment has that others have not. */
  readonly env?: Record<string, string>;
}

interface Outcome {
  readonly output: string;
  readonly success: boolean;
  readonly seconds: number;
  readonly passed: number;
  readonly failed: number;
  readonly ignored: number;
}

const secondsOf = (files: readonly string[]) => files.reduce((sum, file) => sum + (SECONDS[file] ?? MOST_TAKE), 0);

/** Each folder with tests in it, those beside this file, and the documentation; what takes longest comes first. */
function findLanes(isQuick: boolean): Lane[] {
  const files = new Map<string, string[]>();
  const look = (path: string, folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(path, ROOT))) {
      if (isDirectory) look(`${path}${name}/`, folder || name);
      else if (isQuick ? QUICK.includes(path) || QUICK.includes(path + name) : name.endsWith("_test.ts")) {
        if (!/(_test|^quick)\.ts$/.test(name)) continue;
        const key = folder || "others";
        files.set(key, [...files.get(key) ?? [], path + name]);
      }
    }
  };
  look("tests/", "");
  const lanes = [...files].flatMap(([folder, all]) => split(folder, all));
  if (!isQuick) lanes.push(...docs());
  return lanes.sort((a, b) => b.seconds - a.seconds || a.name.localeCompare(b.name));
}

/** The lanes of a folder: as many as it takes that none is long, which take equally long. */
function split(folder: string, files: readonly string[]): Lane[] {
  const count = Math.min(files.length, Math.ceil(secondsOf(files) / LONG));
  const parts = Array.from({ length: count }, (): string[] => []);
  const longestFirst = files.toSorted((a, b) => secondsOf([b]) - secondsOf([a]) || a.localeCompare(b));
  for (const file of longestFirst) parts.toSorted((a, b) => secondsOf(a) - secondsOf(b))[0].push(file);
  return parts.map((args, i) => {
    const name = count === 1 ? folder : `${folder} ${i + 1}/${count}`;
    return { name, folder, args: args.sort(), seconds: secondsOf(args) };
  });
}

const running = new Set<Deno.ChildProcess>();

async function run({ args, examples, env }: Lane): Promise<Outcome> {
  if (examples !== undefined) {
    const folder = Deno.makeTempDirSync({ prefix: "concurrent-futures-examples-" });
    try {
      return await runFiles([writeExamples(examples, folder)], env);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }
  return await runFiles(args, env);
}

async function runFiles(args: readonly string[], env: Lane["env"]): Promise<Outcome> {
  const start = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-P", "--no-check", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", DENO_TEST_SANITIZE_OPS: "1", DENO_TEST_SANITIZE_RESOURCES: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  running.add(child);
  let isHung = false;
  const timer = setTimeout(() => {
    isHung = true;
    kill(child);
  }, BOUND);
  const chunks: string[] = [];
  const collect = (stream: ReadableStream<Uint8Array>) =>
    stream.pipeThrough(new TextDecoderStream()).pipeTo(new WritableStream({ write: (text) => void chunks.push(text) }));
  const [status] = await Promise.all([child.status, collect(child.stdout), collect(child.stderr)]);
  clearTimeout(timer);
  running.delete(child);
  if (isHung) chunks.push(`\nThe lane was ended after ${BOUND} ms\n`);
  return { ...countsOf(chunks.join("")), success: status.success, seconds: (performance.now() - start) / 1_000 };
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch { /* it has just ended */ }
}

/**
 * Reads the summary: `ok | 120 passed (30 steps) | 0 failed | 2 ignored (3 steps) (3s)`, where parts that count nothing
 * are left out.
 */
function countsOf(output: string): Pick<Outcome, "output" | "passed" | "failed" | "ignored"> {
  const summary = output.match(/^(?:ok|FAILED) \| \d+ passed.*$/gm)?.at(-1) ?? "";
  const count = (part: RegExp) => Number(part.exec(summary)?.[1] ?? 0);
  const ignored = count(/(\d+) ignored/) + count(/ignored \((\d+) steps?/);
  return { output, passed: count(/(\d+) passed/), failed: count(/(\d+) failed/), ignored };
}

/** The tests that failed, each with its file: `deno test` names only the helper that registers them. */
function failuresIn(output: string): string[] {
  let file = "";
  const failures: string[] = [];
  for (const line of output.split("\n")) {
    file = /^running \d+ tests? from (?:\.\/)?(.+)$/.exec(line)?.[1] ?? file;
    const name = /^(.+) \.\.\. FAILED/.exec(line)?.[1];
    if (name !== undefined) failures.push(`${file}: ${name}`);
  }
  return failures;
}

/** The tests that took longest: a line of the report ends in `ok (12s)` or `ok (345ms)`. */
function slowest(outcomes: ReadonlyMap<string, Outcome>, most: number): string[] {
  const tests = [...outcomes].flatMap(([lane, { output }]) =>
    [...output.matchAll(/^(.+) \.\.\. (?:ok|FAILED) \((?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?\)$/gm)]
      .map(([, name, minutes = 0, seconds = 0, ms = 0]) => ({
        seconds: Number(minutes) * 60 + Number(seconds) + Number(ms) / 1_000,
        text: `${lane}: ${name}`,
      }))
  );
  return tests.sort((a, b) => b.seconds - a.seconds).slice(0, most)
    .map(({ seconds, text }) => `${seconds.toFixed(1).padStart(8)} s  ${text}`);
}

if (import.meta.main) {
  const { _: names, jobs, quick, all: runsAll, slowest: listSlowest } = parseArgs(Deno.args, {
    boolean: ["all", "quick", "slowest"],
    string: ["jobs"],
    default: { jobs: String(JOBS) },
    unknown(arg) {
      if (!arg.startsWith("-")) return true;
      console.error(`There is no such option: ${arg}`);
      Deno.exit(2);
    },
  });
  const lanes = findLanes(quick);
  const unknown = names.filter((name) => lanes.every(({ folder }) => folder !== name));
  if (unknown.length > 0 || !/^[1-9]\d*$/.test(jobs)) {
    console.error(
      unknown.length > 0
        ? `Unknown lane: ${unknown.join(", ")}. The lanes are ${
          [...new Set(lanes.map(({ folder }) => folder))].join(", ")
        }`
        : `The option --jobs must be an integer of at least 1: ${jobs}`,
    );
    Deno.exit(2);
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      for (const child of running) kill(child);
      Deno.exit(130);
    });
  }
  const start = performance.now();
  const isWanted = (folder: string) => names.length > 0 ? names.includes(folder) : runsAll || !BY_NAME.includes(folder);
  const wanted = lanes.filter(({ folder }) => isWanted(folder));
  const { alone = [], together = [] } = Object.groupBy(
    wanted,
    ({ folder }) => MEASURING.includes(folder) ? "alone" : "together",
  );
  const outcomes = new Map<string, Outcome>();
  const runFrom = async (waiting: Lane[]): Promise<void> => {
    for (let lane = waiting.shift(); lane !== undefined; lane = waiting.shift()) {
      const outcome = await run(lane);
      outcomes.set(lane.name, outcome);
      const { output, success, passed, failed, ignored, seconds } = outcome;
      if (!success || passed === 0) console.log(`\n==== ${lane.name}\n${output}`);
      const counts = `${passed} passed, ${failed} failed${ignored > 0 ? `, ${ignored} skipped` : ""}`;
      console.log(`${success ? "ok" : "FAILED"} | ${lane.name}: ${counts} (${seconds.toFixed(1)} s)`);
    }
  };
  await Promise.all(Array.from({ length: Number(jobs) }, () => runFrom(together)));
  await runFrom(alone);
  const failures = outcomes.values().flatMap(({ output }) => failuresIn(output)).toArray();
  if (failures.length > 0) console.log(`\n${failures.map((failure) => `FAILED ${failure}`).join("\n")}`);
  if (listSlowest) console.log(`\n${slowest(outcomes, 30).join("\n")}`);
  const sum = (key: "passed" | "failed" | "ignored") => outcomes.values().reduce((n, outcome) => n + outcome[key], 0);
  const ignored = sum("ignored");
  // A lane that died or found no test has no summary, and yet has failed.
  const broken = outcomes.values().filter(({ success, passed, failed }) => passed === 0 || (!success && failed === 0));
  const failed = sum("failed") + [...broken].length;
  const seconds = Math.round((performance.now() - start) / 1_000);
  // As `deno test` says it.
  console.log(
    `\n${failed === 0 ? "ok" : "FAILED"} | ${sum("passed")} passed | ${failed} failed${
      ignored > 0 ? ` | ${ignored} ignored` : ""
    } (${seconds}s)`,
  );
  Deno.exit(failed === 0 ? 0 : 1);
}
