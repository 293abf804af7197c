/**
 * Hides the global `process` while other modules are evaluated: to look whether it is there is enough to make Deno set Node's
 * up, which takes each thread ten milliseconds.
 *
 * @module
 */

const descriptor = Object.getOwnPropertyDescriptor(globalThis, "process");
const isHidden = descriptor !== undefined && Reflect.deleteProperty(globalThis, "process");

/** Ends the hiding. */
export function showProcess(): void {
  if (isHidden) Object.defineProperty(globalThis, "process", descriptor!);
}
