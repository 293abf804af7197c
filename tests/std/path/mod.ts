/**
 * What this repository uses of `@std/path`, from the build of it on npm: see `../assert/mod.ts`.
 *
 * @module
 */

// @ts-types="./types.d.ts"
export { basename, dirname, fromFileUrl, join, relative, resolve, toFileUrl } from "deno-std/path/mod.js";
