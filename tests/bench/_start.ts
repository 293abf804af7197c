/**
 * What there is on the way to the first results of processes, and how long each part takes.
 *
 *     deno task bench start
 *
 * Each line is a program of its own that does what the line before it does, and one thing more, or stands alone. They
 * take turns, and the best round counts: to start a process can only take longer than it must.
 *
 * @module
 */

const ROUNDS = 15;
const ROOT = new URL("../../", import.meta.url);
const url = (path: string): string => JSON.stringify(new URL(path, ROOT).href);

/** Prints how long something takes in a program that has loaded this library. */
const results = (processes: number): string => `
  import { ProcessPoolExecutor } from ${url("mod.ts")};
  import { noop } from ${url("tests/bench/drivers/tasks.mjs")};
  const start = performance.now();
  const pool = new ProcessPoolExecutor(${processes});
  const futures = Array.from({ length: ${processes} }, () => pool.submit(noop));
  for (const future of futures) future.result();
  console.log(performance.now() - start);
  pool.killWorkers();`;

const thread = (text: string): string => `
  const worker = new Worker("data:application/javascript," + encodeURIComponent(${JSON.stringify(text)}), {
    type: "module",
  });
  worker.onmessage = () => worker.terminate();`;

const PARTS: readonly [what: string, program: string][] = [
  ["a program that does nothing", ""],
  ["… and loads what a child loads", `import ${url("executors/processes/child/main.ts")};`],
  ["a program that starts a thread, as a child does for its second task", thread("postMessage(0)")],
  [
    "… and that loads what the broker loads",
    thread(`import ${url("executors/processes/_process_broker.ts")}; postMessage(0)`),
  ],
  ["a program that loads this library", `import ${url("mod.ts")};`],
  ["from new ProcessPoolExecutor(1) to the first result", results(1)],
  ["from new ProcessPoolExecutor(2) to two results", results(2)],
];

/** Milliseconds: those that the program prints, or that it takes. */
async function run(program: string): Promise<number> {
  const start = performance.now();
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", `--config=${new URL("deno.json", ROOT).pathname}`, entryOf(program)],
    stdin: "null",
  }).output();
  const ms = performance.now() - start;
  if (!success) throw new Error(`A program failed: ${new TextDecoder().decode(stderr)}`);
  return Number.parseFloat(new TextDecoder().decode(stdout)) || ms;
}

function entryOf(program: string): string {
  return `data:application/javascript,${encodeURIComponent(program)}`;
}

/** Prints a table. */
export async function printStart(): Promise<void> {
  const times = PARTS.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, [, program]] of PARTS.entries()) times[i].push(await run(program));
  }
  const width = Math.max(...PARTS.map(([what]) => what.length));
  console.log(`${"milliseconds, the best and the median of ".concat(`${ROUNDS} rounds`).padEnd(width)}   best  median`);
  for (const [i, [what]] of PARTS.entries()) {
    const sorted = times[i].toSorted((a, b) => a - b);
    const numbers = [sorted[0], sorted[Math.floor(ROUNDS / 2)]].map((ms) => ms.toFixed(1).padStart(7));
    console.log(`${what.padEnd(width)}${numbers.join(" ")}`);
  }
}
