/**
 * The codec for values that JSON cannot say, loaded without Node's `process`.
 *
 * @module
 */

import { showProcess } from "./_hidden_process.ts";
// Not by a name of deno.json's: programs that import this package by path have another deno.json, or none.
// deno-lint-ignore no-import-prefix
import { DevalueError, parse, stringify } from "npm:devalue@^6.0.3";

showProcess();

export { DevalueError, parse, stringify };
