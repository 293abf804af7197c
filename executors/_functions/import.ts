/**
 * Imports modules of tasks, wherever they are.
 *
 * @module
 */

// Deno lets a module of JSR import no remote module from elsewhere, such as a task's on a web server. The module of a
// data: URL belongs to no package.
import { load } from "data:application/javascript,export const load = (url, options) => import(url, options);";

/** As `import()`, but refuses relative paths, which would be relative to nothing. */
export const importModule: (url: string, options?: ImportCallOptions) => Promise<{ [name: string]: unknown }> = load;
