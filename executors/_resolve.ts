/**
 * How a function is found again: the worker's side of `_locate.ts`.
 *
 * @module
 */

import { TaskNotFoundError } from "../futures/errors.ts";
import type { Definition } from "./_definition.ts";
import { isExit } from "./_errors.ts";
import { reach } from "./task_ref.ts";

/** A task's function, with its receiver already bound to it. */
export type TaskFunction = (...args: unknown[]) => unknown;

/** While a worker imports a task's module: that module's URL. Executors refuse to work meanwhile. */
const IMPORTING = Symbol.for("@concurrent/futures importing");

/** The URL of the module that this worker is importing for a task, if it is. */
export function importingModule(): string | undefined {
  return (globalThis as { [IMPORTING]?: string })[IMPORTING];
}

/** Imports a module: `import()`, or what stands for it where that is not permitted. */
export type Import = (url: string) => Promise<{ [name: string]: unknown }>;

async function importModule(url: string, load: Import): Promise<{ [name: string]: unknown }> {
  const global = globalThis as { [IMPORTING]?: string };
  global[IMPORTING] = url;
  try {
    return await load(url);
  } finally {
    global[IMPORTING] = undefined;
  }
}

/**
 * Gets the function that a definition describes.
 *
 * @throws {TaskNotFoundError} There is none.
 * @throws What the module throws while it is imported.
 */
export async function resolve(definition: Definition, load: Import): Promise<TaskFunction> {
  switch (definition.how) {
    case "reference":
      return await dereference(definition, load);
    case "search":
      return await search(definition, load) ?? fromSource(definition);
    case "source":
      return fromSource(definition);
  }
}

async function dereference(
  { module, path }: Extract<Definition, { how: "reference" }>,
  load: Import,
): Promise<TaskFunction> {
  const namespace = await importModule(module, load);
  const { fn, self } = reach(namespace, path);
  if (typeof fn !== "function") {
    throw new TaskNotFoundError(
      `Cannot find the function ${path}: ${
        fn === undefined ? "no such export" : `its value is no function but ${Deno.inspect(fn)}`
      } in ${module}, which exports: ${Object.keys(namespace).join(", ") || "nothing"}`,
      [module],
    );
  }
  return self === undefined ? fn as TaskFunction : fn.bind(self);
}

async function search(
  { name, source, modules }: Extract<Definition, { how: "search" }>,
  load: Import,
): Promise<TaskFunction | undefined> {
  const found = new Map<unknown, string>();
  for (const url of modules) {
    for (const value of Object.values(await importModule(url, load))) {
      // The text, not only the name: a module may have changed, or define another function of that name.
      if (
        typeof value === "function" && value.name === name &&
        Function.prototype.toString.call(value) === source
      ) found.set(value, url);
    }
  }
  if (found.size > 1) {
    const urls = [...found.values()];
    throw new TaskNotFoundError(
      `Cannot tell which function ${name} is meant, because several are exported with the same text: use taskRef(). Exported by: ${
        urls.join(", ")
      }`,
      urls,
    );
  }
  return found.keys().next().value as TaskFunction | undefined;
}

function fromSource(definition: Exclude<Definition, { how: "reference" }>): TaskFunction {
  const { name, source } = definition;
  const looked = definition.how === "search" ? [...definition.modules] : [];
  const fn = evaluate(`(${source}\n)`) ?? evaluateMethod(source, name);
  if (fn === undefined) {
    throw new TaskNotFoundError(
      `Cannot use the source text of the function ${
        name || "(anonymous)"
      } on its own: export it from a module, or use taskRef(). Its text begins: ${source.slice(0, 80)}${
        looked.length > 0 ? `. Looked for it in: ${looked.join(", ")}` : ""
      }`,
      looked,
    );
  }
  return (...args) => {
    let result: unknown;
    try {
      result = fn(...args);
    } catch (error) {
      throw explained(error, name);
    }
    if (!isThenable(result)) return result;
    return Promise.resolve(result).catch((error) => {
      throw explained(error, name);
    });
  };
}

/** Indirect, so in the global scope; strict, as the module was that the text comes from. */
function evaluate(expression: string): TaskFunction | undefined {
  let value: unknown;
  try {
    value = (0, eval)(`"use strict"; ${expression}`);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return typeof value === "function" ? value as TaskFunction : undefined;
}

/** The text of a shorthand method is a function only inside of an object. */
function evaluateMethod(source: string, name: string): TaskFunction | undefined {
  if (/^(get|set)\s+[^(]/.test(source) || /\b(this|super)\b/.test(source)) return undefined;
  let holder: unknown;
  try {
    holder = (0, eval)(`"use strict"; ({${withPlainName(source, name)}\n})`);
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof ReferenceError)) throw error;
    return undefined;
  }
  const fn = Object.values(holder as object)[0];
  return typeof fn === "function" ? fn : undefined;
}

/** The text of a method with its name in place of the expression that computed it. */
function withPlainName(source: string, name: string): string {
  const start = /^(?:async\s*)?\*?\s*\[/.exec(source)?.[0].length;
  if (start === undefined) return source;
  let end = start;
  for (let depth = 1; depth > 0 && end < source.length; end++) {
    if (source[end] === "[") depth++;
    if (source[end] === "]") depth--;
  }
  return `${source.slice(0, start)}${JSON.stringify(name)}]${source.slice(end)}`;
}

/** Whether a value is awaited when a task returns it. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
  } catch (error) {
    if (isExit(error)) throw error;
    // What cannot be asked is refused, with its path.
    return false;
  }
}

/** Adds to a missing name's error what the reader must know: that the function was sent alone. */
function explained(error: unknown, name: string): unknown {
  if (error instanceof ReferenceError && / is not defined$/.test(error.message)) {
    error.message +=
      `: the function ${
        name || "(anonymous)"
      } was sent to the worker as source text, so it sees no names from around it. ` +
      "To mend it, export it from its module, use taskRef(), or pass the value as an argument";
  }
  return error;
}
