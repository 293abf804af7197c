/**
 * Paths in options, and what lies there.
 *
 * @module
 */

import { isAbsolute, pathOf } from "../_functions/file_paths.ts";

/** Whether a text names more than a program. */
export function isPath(text: string): boolean {
  return /[/\\]/.test(text);
}

/** A path as it is for whoever has another working directory. */
export function absolutePath(path: string): string {
  if (isAbsolute(path)) return path;
  return pathOf(new URL(path.replace(/[%?#]/g, encodeURIComponent), `file://${Deno.cwd()}/`));
}

/** Whether this program may look at a path. Asked first, because looking without the permission would prompt. */
export function mayLookAt(path: URL | string): boolean {
  return Deno.permissions.querySync({ name: "read", path }).state === "granted";
}

/** What is at a path; `undefined` where that is nothing, or this program may not look. */
export function lookAt(path: URL | string): Deno.FileInfo | undefined {
  if (!mayLookAt(path)) return undefined;
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}
