/**
 * The REPL and the notebooks of Jupyter: what stands in a line or a cell there belongs to no module. Its frames on the
 * stack name no file, no text tells what it declares, and nothing is exported.
 *
 * @module
 */

import { mainModule, type Place } from "./_callers.ts";
import { isGlobal } from "./_native_functions.ts";

/** What paths are relative to where a call stands in a line or a cell; `undefined` for any other call. */
export function interactiveBase(places: readonly Place[]): string | undefined {
  const main = places.length === 0 ? mainModule() : undefined;
  return main !== undefined && /\/\$deno\$(jupyter_)?repl\.\w+$/.test(main) ? main : undefined;
}

/** Whether a line or a cell has declared a name anew that is a global one of Deno, or has added it to these. */
export function isRedeclared(name: string): boolean {
  if (!isGlobal(name)) return true;
  try {
    // What `let`, `const` and `class` declare there is in the scope of scripts, which an indirect `eval` sees.
    return !Object.is((0, eval)(name), (globalThis as unknown as { [name: string]: unknown })[name]);
  } catch {
    return true; // It never got a value.
  }
}

/** What the user can do there if the text of a function cannot run alone. */
export function interactiveMend(name: string): string {
  return "pass what it uses as arguments, or take it from a module inside of the function, as in " +
    `async (...args) => (await import("./tasks.ts")).${name || "task"}(...args). ` +
    "Lines of the REPL and cells of notebooks export nothing";
}
