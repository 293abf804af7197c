/**
 * Where the modules of this library are.
 *
 * @module
 */

/** The folder of the package. */
export const PACKAGE = new URL("../", import.meta.url);

/** Whether a bundler has put this module into one file with others. */
export const isBundled = !/\/futures\/own_modules\.[cm]?[jt]s$/.test(new URL(import.meta.url).pathname);

/** In a bundle, the program's modules lie beside the library's, so the whole folder counts as the library's there. */
export const OWN_FOLDERS: readonly string[] = isBundled
  ? [new URL(".", import.meta.url).href]
  : ["executors/", "futures/"].map((folder) => new URL(folder, PACKAGE).href);

/** Whether a module belongs to this library. */
export function isOwn(url: string): boolean {
  return OWN_FOLDERS.some((folder) => url.startsWith(folder));
}
