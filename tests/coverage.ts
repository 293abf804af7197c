/**
 * Runs the tests and prints which lines of the library they have not run, in threads and in processes too: each Deno
 * that they start inherits `DENO_COVERAGE_DIR`, and writes what it has run when it ends. Fails when fewer than 95 %
 * have been run.
 */
import { fromFileUrl } from "@std/path";

const WANTED = 95;

/**
 * What is not run: examples and benchmarks measure times, and run nothing of the library that the tests do not; what
 * comes from a registry has other URLs.
 */
const NOT_RUN = ["examples", "bench", "registry"];

const root = new URL("../", import.meta.url);
const folder = fromFileUrl(new URL("coverage", root));

function deno(...args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args,
    cwd: root.pathname,
    env: { DENO_COVERAGE_DIR: folder, NO_COLOR: "1" },
    stdout: "inherit",
    stderr: "inherit",
  });
}

/** Removes what is not about the library, and what a process has left that was killed while it was writing. */
function clean(): void {
  for (const { name } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (!isWanted(Deno.readTextFileSync(path))) Deno.removeSync(path);
  }
}

function isWanted(text: string): boolean {
  if (!/"url": ?"file:[^"]*\/(futures|executors)\//.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The files with tests in a folder, and in the folders below. */
function testFiles(path: string): string[] {
  return [...Deno.readDirSync(new URL(path, root))].sort((a, b) => a.name < b.name ? -1 : 1).flatMap(
    ({ name, isDirectory }) => {
      if (isDirectory) return NOT_RUN.includes(name) ? [] : testFiles(`${path}/${name}`);
      return name.endsWith("_test.ts") ? [`${path}/${name}`] : [];
    },
  );
}

/** Numbers as ranges: `3, 5-7`. */
function ranges(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let from = 0; from < numbers.length;) {
    let to = from;
    while (numbers[to + 1] === numbers[to] + 1) to++;
    parts.push(from === to ? `${numbers[from]}` : `${numbers[from]}-${numbers[to]}`);
    from = to + 1;
  }
  return parts.join(", ");
}

function percent(covered: number, total: number): string {
  return (covered / total * 100).toFixed(1).padStart(5);
}

/** Prints a report in the format of lcov as a table, and returns how many of the lines have been run, in percent. */
function print(lcov: string): number {
  let [allCovered, all] = [0, 0];
  for (const record of lcov.split("end_of_record")) {
    const path = /^SF:(.*)$/m.exec(record)?.[1];
    if (path === undefined) continue;
    const lines = Array.from(record.matchAll(/^DA:(\d+),(\d+)$/gm), ([, line, count]) => [Number(line), Number(count)]);
    const missing = lines.filter(([, count]) => count === 0).map(([line]) => line);
    const covered = lines.length - missing.length;
    allCovered += covered;
    all += lines.length;
    console.log(
      `${percent(covered, lines.length)} %  ${path.slice(root.pathname.length).padEnd(36)} ${ranges(missing)}`,
    );
  }
  console.log(`${percent(allCovered, all)} %  ${allCovered} of ${all} lines`);
  return allCovered / all * 100;
}

if (import.meta.main) {
  // `--report` alone counts again what the last run has left.
  if (Deno.args[0] !== "--report") {
    const tests = Deno.args.length > 0 ? Deno.args : testFiles("tests");
    await Deno.remove(folder, { recursive: true }).catch(() => {});
    const failed: string[] = [];
    // Each in a process of its own: the watchdog ends one whose thread is blocked for too long, and what it has run is
    // lost then.
    for (const test of tests) {
      const { success } = await deno(
        ...["test", "-P", "--no-check", `--coverage=${folder}`, "--coverage-raw-data-only", test],
      ).output();
      if (!success) failed.push(test);
    }
    if (failed.length > 0) {
      console.log(
        "To count takes time, and that of tests is limited; `deno task test` says whether they pass. " +
          `Tests have failed in:\n${failed.join("\n")}`,
      );
    }
  }
  clean();
  const report = `${folder}/lcov.info`;
  const include = `--include=^${root.href}(futures|executors)/`;
  const { success } = await deno("coverage", folder, include, "--lcov", `--output=${report}`).output();
  const covered = success ? print(Deno.readTextFileSync(report)) : 0;
  if (covered < WANTED) {
    console.error(`Fewer than ${WANTED} % of the lines have been run`);
    Deno.exit(1);
  }
}
