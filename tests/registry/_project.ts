/** A user's project: a folder with programs, and a cache of Deno's that is empty. */
import { assertEquals, fail } from "@std/assert";
import { temporaryPath } from "../_helpers.ts";
import type { Registry } from "./_registry.ts";

/** How a program ended. `stderr` is without the lines that tell what was downloaded. */
export interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

/** Where nobody listens: a proxy without which no server but this machine's own can be reached. */
const NOWHERE = "http://127.0.0.1:1";

export class Project {
  readonly folder: string = temporaryPath("project");
  readonly #registry: Registry;
  /** What programs have in their environment besides that of the tests. */
  readonly env: { [name: string]: string };

  /** Makes the folder, with copies of files of `programs/`; the package is mapped as `deno add` does. */
  constructor(registry: Registry, programs: readonly string[] = []) {
    this.#registry = registry;
    Deno.mkdirSync(this.folder, { recursive: true });
    this.write("deno.json", JSON.stringify({ imports: { "@concurrent/futures": "jsr:@concurrent/futures@*" } }));
    for (const name of programs) {
      this.write(name, Deno.readTextFileSync(new URL(`./programs/${name}`, import.meta.url)));
    }
    this.env = { ...environment(`${this.folder}/cache`), JSR_URL: registry.url };
  }

  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.folder}/${name}`, text);
  }

  /** From now on nothing can be downloaded from anywhere. */
  async disconnect(): Promise<void> {
    await this.#registry[Symbol.asyncDispose]();
    Object.assign(this.env, { HTTP_PROXY: NOWHERE, HTTPS_PROXY: NOWHERE, NO_PROXY: "" });
  }

  /** Runs Deno in the folder; it is killed when it takes longer than `bound` milliseconds, which fails the test. */
  deno(args: readonly string[], bound?: number): Promise<Run> {
    return runDeno(args, { cwd: this.folder, env: this.env }, bound);
  }

  /** Checks that nothing was downloaded which only a cluster needs. */
  assertWithoutCluster(): void {
    assertWithoutCluster(this.env.DENO_DIR);
  }

  /** Which packages of npm were downloaded. */
  packages(): string[] {
    return packagesIn(this.env.DENO_DIR);
  }
}

/** Checks that nothing is in a cache which only a cluster needs. */
export function assertWithoutCluster(cache: string): void {
  const names = [...walk(cache)];
  assertEquals(names.length > 0, true);
  assertEquals(names.filter((name) => /^(bullmq|ioredis|msgpackr.*)$/.test(name)), []);
}

/** The packages of npm that are in a cache, each by its name: a folder has a folder for each of its versions. */
function packagesIn(cache: string): string[] {
  try {
    return Array.from(Deno.readDirSync(`${cache}/npm`))
      .flatMap(({ name: host }) => Array.from(Deno.readDirSync(`${cache}/npm/${host}`), ({ name }) => name)).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The names of all folders in a folder. */
function* walk(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (!isDirectory) continue;
    yield name;
    yield* walk(`${folder}/${name}`);
  }
}

/** The environment of a Deno that has a cache of its own. */
export function environment(cache: string): { [name: string]: string } {
  return { DENO_DIR: cache, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
}

/** Runs Deno; it is killed when it takes longer than `bound` milliseconds, which fails the test. */
export async function runDeno(
  args: readonly string[],
  options: { cwd: string | URL; env: { [name: string]: string } },
  bound = 20_000,
): Promise<Run> {
  const child = new Deno.Command(Deno.execPath(), {
    ...options,
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, bound);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");
  const output = await child.output();
  clearTimeout(timer);
  const stdout = text(output.stdout);
  const stderr = text(output.stderr).replaceAll(/^Download http.*\n/gm, "");
  if (hung) fail(`deno ${args.join(" ")} did not end after ${bound} ms\nstdout: ${stdout}\nstderr: ${stderr}`);
  return { code: output.code, stdout, stderr };
}

/** Checks that a program has ended well and printed these lines, and no warning. */
export function assertPrints(run: Run, ...lines: string[]): void {
  assertEquals(run, { code: 0, stdout: lines.map((line) => `${line}\n`).join(""), stderr: "" });
}
