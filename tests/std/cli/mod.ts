/**
 * What this repository uses of `@std/cli`, from the build of it on npm: see `../assert/mod.ts`.
 *
 * @module
 */

// @ts-types="./types.d.ts"
export { parseArgs } from "deno-std/cli/parse_args.js";
export type { ParseOptions } from "./types.d.ts";
