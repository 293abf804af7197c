/**
 * Imports modules of tasks, wherever they are.
 *
 * @module
 */

// Deno lets a module of JSR import no remote module that is not of JSR, such as a task's on a web server. The module of
// a data: URL is of no package.
import { load } from "data:application/javascript,export const load = (url, options) => import(url, options);";

/** As `import()`. Paths that are relative are refused: they would be relative to nothing. */
export const importModule: (url: string, options?: ImportCallOptions) => Promise<{ [name: string]: unknown }> = load;
