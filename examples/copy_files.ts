/**
 * Copies four files in four threads, in a block whose end waits for all of them.
 *
 * ```sh
 * deno run --allow-read --allow-write examples/copy_files.ts
 * ```
 *
 * The counterpart of the example of `shutdown` in Python's manual. The files are in a new directory where the system
 * keeps temporary ones, which is removed at the end. Where that is differs, so the permissions name no directory.
 *
 * @module
 */

import { type Future, ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, readOptions } from "./_options.ts";

/** The task. A part of Deno, such as `Deno.copyFile`, cannot be sent to a thread; a function that calls it can. */
export function copy(from: string, to: string) {
  Deno.copyFileSync(from, to);
}

function main(directory: string) {
  for (let i = 1; i <= 4; i++) Deno.writeTextFileSync(`${directory}/src${i}.txt`, "All work and no play\n".repeat(i));

  const copies: Future<void>[] = [];
  {
    using pool = new ThreadPoolExecutor(4); // Python: with ThreadPoolExecutor(max_workers=4) as pool:
    for (let i = 1; i <= 4; i++) {
      copies.push(pool.submit(copy, `${directory}/src${i}.txt`, `${directory}/dest${i}.txt`));
    }
  } // Here the pool shuts down: all copies are done, or have failed.

  copies.forEach((future, i) => {
    future.result(); // Throws what the copy has thrown. Nobody would learn of it otherwise.
    const [source, dest] = ["src", "dest"].map((name) => Deno.readTextFileSync(`${directory}/${name}${i + 1}.txt`));
    console.log(`dest${i + 1}.txt: ${dest.length} bytes, ${dest === source ? "the same as" : "NOT"} src${i + 1}.txt`);
  });
}

/** It has no options but `--help`. */
export const COMMAND = commandLine({
  about: "Copy four files in four threads, and wait for all of them.",
  command: "deno run --allow-read --allow-write examples/copy_files.ts",
});

// The threads import this module too: only the program itself is to start.
if (import.meta.main) {
  readOptions(COMMAND);
  const directory = Deno.makeTempDirSync({ prefix: "copy_files_" });
  try {
    main(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}
