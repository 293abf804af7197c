/**
 * Measures this library against its peers, Python, and what nothing can beat: {@linkcode USAGE} tells how to call it.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { drawChart } from "./_chart.ts";
import { drawHeadline } from "./_headline.ts";
import { compareWith } from "./_against.ts";
import { printGuard } from "./_guard.ts";
import { installPeers, type Machine, versionOf } from "./contestants.ts";
import { measure } from "./_measure.ts";
import { killAll } from "./_program.ts";
import { describeFloors, MachineFloor, Watch } from "./_noise.ts";
import { printStart } from "./_start.ts";
import { judge, type Result, rowTable, summary } from "./_report.ts";
import { chooseRows, type Row, ROWS } from "./rows.ts";

const ROUNDS = 5;
const USAGE = `Usage: deno task bench [row …] [options]
       deno task bench guard
       deno task bench start
       deno task bench against <folder>
       deno task bench chart

Measures what tasks cost, here and with other libraries, and prints tables.
A row is a number (3), a group (threads, processes, growth), or a group and
a number (threads 3). Without one, all rows are measured: some 45 minutes.

  guard          print the ratios that guard_test.ts judges
  start          print what the first results of processes take, part by part
  against        compare with another checkout, in turns: first tasks, rows 1-5, 7, 13-15
  chart          draw results.svg and headline.svg anew from results.json

  --no-peers     leave out the other libraries and Python
  --rounds=<n>   how many rounds each row has (default: ${ROUNDS})
  -h, --help     print this text

A run writes results.json, results.svg and headline.svg. Rows that it does not
measure keep their figures there. With --no-peers, or other than ${ROUNDS} rounds,
it writes nothing. The exit code is 1 when a target is missed or a peer is
faster, and 2 when an argument is wrong.`;

const JSON_FILE = new URL("./results.json", import.meta.url);
const SVG_FILE = new URL("./results.svg", import.meta.url);
const HEADLINE_FILE = new URL("./headline.svg", import.meta.url);

function fail(message: string): never {
  console.error(message);
  console.error("To see how to call it: deno task bench --help");
  Deno.exit(2);
}

function chooseOrFail(words: string[]): Row[] {
  try {
    return chooseRows(words);
  } catch (error) {
    fail((error as Error).message);
  }
}

/** What earlier runs have measured, judged by the rows as they are now. */
async function readResults(): Promise<Map<string, Result>> {
  try {
    const { rows } = JSON.parse(await Deno.readTextFile(JSON_FILE)) as { rows: Result[] };
    return new Map(rows.flatMap((result) => {
      const row = ROWS.find(({ id }) => id === result.id);
      const { figures, absences, date, machine, rounds, noise } = result;
      return row ? [[row.id, { ...judge(row, { figures, absences }, { date, machine, rounds }), noise }]] : [];
    }));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}

/** Written after each row, so that a run that is interrupted leaves what it has. */
async function writeResults(results: Map<string, Result>): Promise<void> {
  const rows = ROWS.flatMap(({ id }) => results.get(id) ?? []);
  await Deno.writeTextFile(JSON_FILE, `${JSON.stringify({ rows }, null, 2)}\n`);
  await drawCharts(rows);
}

async function drawCharts(rows: Result[]): Promise<void> {
  for (const [file, svg] of [[SVG_FILE, drawChart(rows)], [HEADLINE_FILE, drawHeadline(rows)]] as const) {
    if (svg) await Deno.writeTextFile(file, `${svg.trim()}\n`);
  }
}

function describeMachine({ node, python }: Machine): string {
  const others = [node && `Node ${node}`, python && `Python ${python}`].filter(Boolean).join(", ");
  const { os, arch } = Deno.build;
  return `${navigator.hardwareConcurrency} cores, ${os} ${arch}, Deno ${Deno.version.deno}${others && `, ${others}`}`;
}

interface Options {
  rows: Row[];
  rounds: number;
  withPeers: boolean;
}

function parseOptions(args: string[]): Options | "help" | "guard" | "start" | "chart" | { against: string } {
  const options = parseArgs(args, {
    boolean: ["peers", "help"],
    string: ["rounds", "_"],
    negatable: ["peers"],
    alias: { help: "h" },
    default: { peers: true },
    unknown: (given, key) => key === undefined || fail(`There is no such option: ${given}`),
  });
  const words = options._.map(String);
  if (options.help) return "help";
  if (words.length === 1 && (words[0] === "guard" || words[0] === "start" || words[0] === "chart")) {
    return words[0];
  }
  if (words.length === 2 && words[0] === "against") return { against: words[1] };
  const rounds = Number(options.rounds ?? ROUNDS);
  if (!Number.isInteger(rounds) || rounds < 1) {
    fail(`The option --rounds must be an integer of at least 1: ${options.rounds}`);
  }
  return { rows: chooseOrFail(words), rounds, withPeers: options.peers };
}

async function findMachine(withPeers: boolean): Promise<Machine> {
  const machine: Machine = { node: await versionOf("node"), python: await versionOf("python3") };
  if (withPeers) {
    await installPeers(machine);
    if (!machine.node) console.error("Node is not installed, so its peers are left out");
    if (!machine.python) console.error("python3 is not installed, so it is left out");
  }
  return machine;
}

async function measureAll({ rows, rounds, withPeers }: Options): Promise<void> {
  const isWritten = withPeers && rounds === ROUNDS;
  const machine = await findMachine(withPeers);
  for (const signal of Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      killAll();
      Deno.exit(130);
    });
  }

  const results = isWritten ? await readResults() : new Map<string, Result>();
  const measured: Result[] = [];
  using floor = new MachineFloor();
  await floor.start();
  const watch = new Watch(() => floor.take());
  console.log(describeMachine(machine));
  for (const row of rows) {
    const { value, noise } = await watch.measure(() => measure(row, machine, rounds, withPeers));
    const about = { date: new Date().toISOString(), machine: describeMachine(machine), rounds };
    const result = { ...judge(row, value, about), noise };
    console.log(rowTable(result));
    measured.push(result);
    results.set(row.id, result);
    if (isWritten) await writeResults(results);
  }
  // Now all floors are known, and with them the quietest.
  for (const result of measured) result.noise = watch.judge(result.noise!, result.noise!.attempts);
  if (isWritten) await writeResults(results);
  const noises = measured.flatMap(({ noise }) => noise ?? []);
  console.log(`\n${describeFloors(watch.floors, noises, navigator.hardwareConcurrency)}`);
  console.log(summary(measured));
  if (measured.some(({ verdict, standing }) => verdict !== "met" || standing === "behind")) {
    Deno.exitCode = 1;
  }
}

async function main(): Promise<void> {
  const options = parseOptions(Deno.args);
  if (options === "help") console.log(USAGE);
  else if (options === "guard") await printGuard();
  else if (options === "start") await printStart();
  else if (typeof options === "object" && "against" in options) await compareWith(options.against);
  else if (options === "chart") {
    await findMachine(true);
    await drawCharts([...(await readResults()).values()]);
  } else await measureAll(options);
}

if (import.meta.main) await main();
