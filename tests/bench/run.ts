/**
 * Measures this library against its peers, Python, and what nothing can beat.
 *
 *     deno task bench                  all rows
 *     deno task bench threads 3        one row; also: a group, several numbers
 *     deno task bench threads --no-peers --rounds=3
 *     deno task bench guard            the ratios that tests/bench/guard_test.ts judges
 *
 * Prints tables, and writes `results.json` and `results.svg`, where rows that were not measured keep their last
 * figures. With `--no-peers` or other than 5 rounds nothing is written.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { drawChart } from "./_chart.ts";
import { printGuard } from "./_guard.ts";
import { installPeers, type Machine, versionOf } from "./contestants.ts";
import { measure } from "./_measure.ts";
import { killAll } from "./_program.ts";
import { judge, type Result, rowTable, summary } from "./_report.ts";
import { chooseRows, type Row, ROWS } from "./rows.ts";

const ROUNDS = 5;
const JSON_FILE = new URL("./results.json", import.meta.url);
const SVG_FILE = new URL("./results.svg", import.meta.url);

function fail(message: string): never {
  console.error(message);
  console.error("Usage: deno task bench [threads] [processes] [growth] [number …] [--no-peers] [--rounds=5]");
  Deno.exit(2);
}

function chooseOrFail(words: string[]): Row[] {
  try {
    return chooseRows(words);
  } catch (error) {
    fail((error as Error).message);
  }
}

/** What earlier runs have measured. */
async function readResults(): Promise<Map<string, Result>> {
  try {
    const { rows } = JSON.parse(await Deno.readTextFile(JSON_FILE)) as { rows: Result[] };
    return new Map(rows.map((row) => [row.id, row]));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}

/** Written after each row, so that a run that is interrupted leaves what it has. */
async function writeResults(results: Map<string, Result>): Promise<void> {
  const rows = ROWS.flatMap(({ id }) => results.get(id) ?? []);
  await Deno.writeTextFile(JSON_FILE, `${JSON.stringify({ rows }, null, 2)}\n`);
  const svg = drawChart(rows);
  if (svg) await Deno.writeTextFile(SVG_FILE, `${svg.trim()}\n`);
}

function describeMachine({ node, python }: Machine): string {
  const others = [node && `Node ${node}`, python && `Python ${python}`].filter(Boolean).join(", ");
  const { os, arch } = Deno.build;
  return `${navigator.hardwareConcurrency} cores, ${os} ${arch}, Deno ${Deno.version.deno}${others && `, ${others}`}`;
}

async function main(): Promise<void> {
  const options = parseArgs(Deno.args, {
    boolean: ["peers"],
    string: ["rounds", "_"],
    negatable: ["peers"],
    default: { peers: true },
  });
  const words = options._.map(String);
  if (words.join() === "guard") return await printGuard();
  const rounds = Number(options.rounds ?? ROUNDS);
  if (!Number.isInteger(rounds) || rounds < 1) {
    fail(`Cannot use --rounds, wanted an integer of at least 1: ${options.rounds}`);
  }
  const rows = chooseOrFail(words);
  const isWritten = options.peers && rounds === ROUNDS;

  const machine: Machine = { node: await versionOf("node"), python: await versionOf("python3") };
  if (options.peers) {
    await installPeers(machine);
    if (!machine.node) console.error("There is no Node: its peers are left out");
    if (!machine.python) console.error("There is no python3: it is left out");
  }
  for (const signal of Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      killAll();
      Deno.exit(130);
    });
  }

  const results = isWritten ? await readResults() : new Map<string, Result>();
  const measured: Result[] = [];
  console.log(describeMachine(machine));
  for (const row of rows) {
    const figures = await measure(row, machine, rounds, options.peers);
    const about = { date: new Date().toISOString(), machine: describeMachine(machine), rounds };
    const result = judge(row, figures, about);
    console.log(rowTable(result));
    measured.push(result);
    results.set(row.id, result);
    if (isWritten) await writeResults(results);
  }
  console.log(summary(measured));
  if (measured.some(({ verdict, standing }) => verdict !== "met" || standing === "behind")) {
    Deno.exitCode = 1;
  }
}

if (import.meta.main) await main();
