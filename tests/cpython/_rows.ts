/** How the tests that stand for the rows of README.md are registered, and which have been. */
import { test, type TestOptions } from "../_helpers.ts";

const names: string[] = [];

/** The names of all tests that were registered, in order. */
export function registeredNames(): readonly string[] {
  return names;
}

/** Registers the test of a row: `title` is the upstream method's name, a colon, and what it proves. */
export function row(subject: string, title: string, fn: () => void | Promise<void>, options?: TestOptions): void {
  const name = `${subject}: ${title}`;
  names.push(name);
  test(name, fn, options);
}
