/**
 * Paths of files.
 *
 * @module
 */

/** The path that a `file:` URL stands for. */
export function pathOf({ pathname }: URL): string {
  return decodeURIComponent(pathname).replace(/^\/([A-Za-z]:)/, "$1");
}

/** Whether a path leads from the root, on Windows also from a drive's. */
export function isAbsolute(path: string): boolean {
  return /^([/\\]|[A-Za-z]:[/\\])/.test(path);
}
