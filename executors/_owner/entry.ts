/**
 * The modules of this library that a worker or a child begins with.
 *
 * @module
 */

/**
 * The URL of a module that a worker or a child begins with.
 *
 * Deno fetches all that a program imports before the program begins, and counts a literal `import()` that is never
 * called. A worker whose module, or a package that it imports, is not there yet would wait for the network until the
 * thread that started it no longer blocks, which may be never; a child would need a network. So each of these modules
 * is imported beside its URL.
 *
 * @param url What `import.meta.resolve("./module.ts")` returns.
 * @param _import `() => import("./module.ts")`; nobody calls it.
 */
export function entry(url: string, _import: () => Promise<unknown>): string {
  return url;
}
