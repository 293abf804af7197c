/**
 * Why a function that is a part of Deno cannot be sent, and what its caller can do instead.
 *
 * @module
 */

import { TaskNotFoundError } from "../../futures/errors.ts";
import { callers, mainModule } from "./_callers.ts";
import { nameOfNative } from "./_native_functions.ts";

// deno-lint-ignore ban-types -- any function will do
type AnyFunction = Function;

/** The error of a native function, of which there is no text. */
export function refusalOfNative(fn: AnyFunction, name: string): TaskNotFoundError {
  const urls = distinctUrls();
  if (name.startsWith("bound ")) {
    return refused(
      "a bound function",
      "pass the data of its object as arguments to a function of your own",
      name,
      urls,
    );
  }
  const builtin = nameOfNative(fn, name);
  if (builtin !== undefined) return refusalOfGlobal(builtin, urls);
  return refused("a native function", "call it in a function of your own", name || "(anonymous)", urls);
}

function distinctUrls(): string[] {
  const main = mainModule();
  return [...new Set([...callers().map(({ url }) => url), ...(main === undefined ? [] : [main])])];
}

/** The error of a function of the global scope. */
export function refusalOfGlobal(path: string, urls: readonly string[]): TaskNotFoundError {
  const method = /^\w+\.prototype\.(.+)$/.exec(path)?.[1];
  const wrapped = method === undefined
    ? `(...args) => ${path}(...args)`
    : `(value, ...args) => value.${method}(...args)`;
  return refused("a built-in function", `wrap it in a function of your own, as in ${wrapped}`, path, urls);
}

/** The error of a function of one of Node's modules. */
export function refusalOfNode(module: string, path: string, urls: readonly string[]): TaskNotFoundError {
  const mend = `export a function that calls it, or use taskRef("${module}", "${path}")`;
  return refused("a built-in function", mend, `${path} of ${module}`, urls);
}

function refused(what: string, mend: string, name: string, urls: readonly string[]): TaskNotFoundError {
  return new TaskNotFoundError(
    `Cannot send ${what} to a worker: ${name}. To fix it, ${mend}. Submitted from: ${urls.join(", ")}`,
    [...urls],
  );
}
