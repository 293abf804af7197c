/** The command line of each example, as a user calls it: `--help`, an option that there is not, and a bad value. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "../_helpers.ts";
import type { CommandLine, Options } from "../../examples/_options.ts";
import { assertCannotUse, assertRefuses, commandsOf, linesOf, runPowerless } from "./_run.ts";

interface Program {
  name: string;
  /** What `--help` tells. */
  help: string[];
  /** Arguments that it cannot use, and what it says of them. */
  bad: string[];
  told: string[];
}

const JOBS = ["-x, --executor", "(default processes)", "-w, --workers", "-n, --rounds", "(default 300)"];
const SERVER = ["--redis", "(default redis://127.0.0.1:6379)"];
const DEST = ["-o, --dest", "(default downloads/)"];
const COMPARE = ["-w, --workers", "-c, --compare"];

const PROGRAMS: Program[] = [
  {
    name: "arcfour.ts",
    help: JOBS,
    bad: ["--executor", "fibers"],
    told: ['--executor "fibers"', "one of processes, threads"],
  },
  {
    name: "asyncio.ts",
    help: ["PART", "run_in_executor, wrap_future, gather, as_completed, semaphore"],
    bad: ["sleep"],
    told: ['"sleep"', "one of run_in_executor, wrap_future, gather, as_completed, semaphore"],
  },
  {
    name: "control.ts",
    help: [
      ...["PART", "loop, interrupt, progress, server", "-x, --executor", "(default processes)"],
      ...["--numbers", "(default 750)", "--seconds", "(default 1)", "--patience", "(default 5)"],
    ],
    bad: ["everything"],
    told: ['"everything"', "one of loop, interrupt, progress, server"],
  },
  {
    name: "sync.ts",
    help: ["PART", "buffer, readers, philosophers", "--items", "(default 2000)", "--meals", "(default 500)"],
    bad: ["--meals", "none"],
    told: ['--meals "none"', "a whole number from 1 to 1000000"],
  },
  { name: "sha.ts", help: JOBS, bad: ["-w", "1,,2"], told: ['--workers "1,,2"', "whole numbers from 1 to 12"] },
  {
    name: "demo_executor_map.ts",
    help: ["-w, --workers", "(default 3)", "SECONDS", "(default 0 1 2 3 4)"],
    bad: ["soon"],
    told: ['"soon"', "a whole number of seconds from 0 to 9"],
  },
  {
    name: "flag_server.ts",
    help: [
      ...["-s, --server", "(default LOCAL)", "-p, --port", "-d, --delay", "-r, --error-rate", "--seed", "(default 1)"],
      ...["LOCAL  8001  0-0", "DELAY  8002  250-750", "ERROR  8003  0-500"],
    ],
    bad: ["-d", "500-250"],
    told: ['--delay "500-250"', "MIN-MAX"],
  },
  {
    name: "flags.ts",
    help: [
      ...["--mode", "(default threads)", "-c, --compare", "-w, --workers", "(default 20;", "--latency"],
      ...["(default 200)", ...DEST, "-u, --base-url"],
    ],
    bad: ["--workers", "-1"],
    told: ['--workers "-1"', "a whole number from 1 up"],
  },
  {
    name: "flags2.ts",
    help: [
      ...["CC ", "-a, --all", "-e, --every", "-l, --limit N", "-m, --max_req N", "--max-req", "-s, --server LABEL"],
      ...["LOCAL, DELAY, ERROR, REMOTE (default LOCAL)", "-v, --verbose", "--mode", "(default threads)"],
      ...["-u, --base-url", "--seed", ...DEST],
    ],
    bad: ["-al", "0"],
    told: ['--limit "0"', "a whole number from 1 up"],
  },
  {
    name: "parallel.ts",
    help: ["PART", "parallel, parallelize, invoke", "-x, --executor", "(default threads)"],
    bad: ["fork"],
    told: ['"fork"', "one of parallel, parallelize, invoke"],
  },
  {
    name: "timeline.ts",
    help: ["-x, --executor", "(default processes)", "-w, --workers", "(default 4)", ...DEST],
    bad: ["-w", "17"],
    told: ['--workers "17"', "a whole number from 1 to 16"],
  },
  ...["copy_files.ts", "deadlocks.ts", "load_urls.ts", "mixed.ts", "primes.ts"].map((name) => {
    return { name, help: [], bad: ["2"], told: ['"2"', "no options but --help"] };
  }),
  {
    name: "cluster/flags.ts",
    help: [...SERVER, ...DEST],
    bad: ["--redis", "127.0.0.1:6379"],
    told: ['--redis "127.0.0.1:6379"', "redis:// or rediss://"],
  },
  {
    name: "cluster/sha.ts",
    help: [...SERVER, "-n, --rounds", "(default 300)"],
    bad: ["-n", "many"],
    told: ['--rounds "many"', "a whole number from 1 to 999999"],
  },
  {
    name: "cluster/start.ts",
    help: ["-k, --keep", "-n, --rounds", "(default 300)"],
    bad: ["--rounds"],
    told: ["--rounds without a value", "a whole number from 1 to 999999"],
  },
  {
    name: "real/thumbnails.ts",
    help: [
      ...["DIR", ...COMPARE, "--size", "(default 320)", "--photos", "(default 8)", "--width", "(default 2400)"],
      ...DEST,
    ],
    bad: ["--size", "0"],
    told: ['--size "0"', "a whole number from 1 to 4096"],
  },
  {
    name: "real/mandelbrot.ts",
    help: [...COMPARE, "--width", "(default 900)", "-n, --rounds", "(default 3000)", ...DEST],
    bad: ["-w", "0"],
    told: ['--workers "0"', "a whole number from 1 to 64"],
  },
  {
    name: "real/wordcount.ts",
    help: [
      ...["-x, --executor", "(default processes)", "-w, --workers", "--sequential", "--size", "(default 200)"],
      ...[...SERVER, ...DEST],
    ],
    bad: ["--size", "huge"],
    told: ['--size "huge"', "a number of MiB from 0.01 to 100000"],
  },
];

PROGRAMS.push(
  {
    name: "real/sandbox.ts",
    help: ["CODE", "--file PATH", "--timeout SECONDS", "(default 2)", "--memory MIB", "(default 64)"],
    bad: ["--memory", "8"],
    told: ['--memory "8"', "a whole number from 32 to 4096"],
  },
  {
    name: "real/server.ts",
    help: [
      ...["-p, --port", "(default 8000)", "-w, --workers", "--queue", "(default 64)", "-c, --compare"],
      ...["--seconds", "(default 10)"],
    ],
    bad: ["-w", "many"],
    told: ['--workers "many"', "a whole number from 0 to 64"],
  },
);

/** The command line that a program declares. */
async function commandLineOf(name: string): Promise<CommandLine<Options, unknown>> {
  return (await import(`../../examples/${name}`)).COMMAND;
}

for (const { name, help, bad, told } of PROGRAMS) {
  test(`${name} --help tells its options and starts nothing`, async () => {
    const run = await runPowerless(name, ["--help"]);
    const lines = linesOf(run);
    for (const line of lines) assert([...line].length <= 80, line);
    // The command in the header, without the comment and the options behind it.
    const [command] = commandsOf(name)[0].match(/^deno run .*\.ts/)!;
    const usage = lines.indexOf("Usage:");
    assert(usage > 0, run.stdout);
    assertEquals(lines[usage + 1].replaceAll(/ \[.*?\]/g, ""), `  ${command}`);
    const example = lines.indexOf("Example:");
    assert(example > usage && lines[example + 1].startsWith(`  ${command}`), run.stdout);
    const inOneLine = run.stdout.replaceAll(/\n +/g, " ");
    for (const part of [...help, "-h, --help"]) assertStringIncludes(inOneLine, part);
  });

  test(`${name} refuses an option that it does not have, and says which ones it has`, async () => {
    const names = help.flatMap((part) => part.match(/--[a-z_-]+/) ?? []).filter((option) => option !== "--max-req");
    assertCannotUse(await commandLineOf(name), ["--fast"], "Cannot use --fast", ...names, "--help");
  });

  test(`${name} ${bad.join(" ")} is refused with the wanted values`, async () => {
    assertCannotUse(await commandLineOf(name), bad, ...told);
  });
}

test("a program that refuses arguments ends with exit code 2 and starts nothing", async () => {
  // One of them shows it, as all of them leave that to readOptions(): `--help` shows that each one calls it.
  const [{ name, bad, told }] = PROGRAMS;
  await assertRefuses(name, ["--fast"], "Cannot use --fast");
  await assertRefuses(name, bad, ...told);
});

test("help_test.ts knows all programs", () => {
  const found: string[] = [];
  for (const folder of ["", "cluster/", "real/"]) {
    for (const { name } of Deno.readDirSync(new URL(`../../examples/${folder}`, import.meta.url))) {
      if (/^[^_].*\.ts$/.test(name)) found.push(folder + name);
    }
  }
  assertEquals(PROGRAMS.map(({ name }) => name).sort(), found.sort());
});
