/**
 * Where the modules of this library are.
 *
 * @module
 */

/** The folder of the package. */
export const PACKAGE = new URL("../../", import.meta.url);

/** Whether this module was put into one file with others. */
export const isBundled = !/\/_functions\/own_modules\.[cm]?[jt]s$/.test(new URL(import.meta.url).pathname);

/** In a bundle the program's modules lie where the library's do, so there all of that folder counts as the library's. */
const OWN_FOLDERS = isBundled
  ? [new URL(".", import.meta.url).href]
  : ["executors/", "futures/"].map((folder) => new URL(folder, PACKAGE).href);

/** Whether a module is of this library. */
export function isOwn(url: string): boolean {
  return OWN_FOLDERS.some((folder) => url.startsWith(folder));
}
