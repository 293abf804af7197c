/**
 * How a function's source text becomes a function again, in the worker.
 *
 * @module
 */

import { TaskNotFoundError } from "../../futures/errors.ts";
import { MEND, type Needs, type Sent } from "./definition.ts";
import { isExit } from "../../futures/task_exit.ts";
import { importModule } from "./import.ts";
import type { TaskFunction } from "./resolve.ts";

/**
 * Makes a function of its text. What it throws because it was sent alone says so.
 *
 * @throws {TaskNotFoundError} Its text cannot stand alone.
 */
export async function fromSource(definition: Sent): Promise<TaskFunction> {
  const { name, source, mend = MEND } = definition;
  const needs = definition.how === "source" ? definition : await needsOf(definition);
  const hidden = [...new Set([...definition.hidden ?? [], ...needs.ofWorkers ?? []])];
  const code = withImports(source, needs.imports ?? []);
  const importer = importerFor(definition);
  const fn = evaluate(`(${code}\n)`, hidden, importer) ??
    evaluateMethod(withPlainName(code, name), hidden, importer);
  if (fn === undefined) {
    throw new TaskNotFoundError(
      `Cannot send the source text of the function ${name || "(anonymous)"}, because it cannot stand alone: ` +
        `${mend}. Its text begins: ${source.slice(0, 80)}`,
    );
  }
  explanations.set(fn, (error) => explained(error, definition, hidden));
  return fn;
}

/** By functions that were sent as text. Not a function around each: that would take its arguments twice on the stack. */
const explanations = new WeakMap<TaskFunction, (error: unknown) => unknown>();

/** What a function threw; one that was sent as text says so where that is why. */
export function explain(fn: TaskFunction | undefined, error: unknown): unknown {
  const explanation = fn && explanations.get(fn);
  return explanation === undefined ? error : explanation(error);
}

/** What the text needs, where an export was tried first and is another function: the program has not looked. */
async function needsOf({ name, source, mend }: Sent): Promise<Needs> {
  const { FunctionText } = await import("./_text.ts");
  return new FunctionText(source).needs(name, mend);
}

/** What stands for `import` in the text: that one would resolve as if this module had called it. */
const IMPORT = "__concurrent_futures_import__";

function withImports(source: string, imports: readonly number[]): string {
  let code = "";
  let at = 0;
  for (const start of imports) {
    code += source.slice(at, start) + IMPORT;
    at = start + "import".length;
  }
  return code + source.slice(at);
}

function importerFor({ name, base }: Sent): (specifier: unknown, options?: ImportCallOptions) => Promise<unknown> {
  return async (specifier, options) => {
    const text = String(specifier);
    if (!/^\.{0,2}\//.test(text)) return await importModule(text, options);
    const url = base === undefined ? null : URL.parse(text, base);
    if (url === null) {
      throw new TaskNotFoundError(
        `Cannot import a relative path in the function ${
          name || "(anonymous)"
        }, because it was sent as source text and ` +
          `nothing tells where from: export the function, or use import.meta.resolve() outside of it: ${text}`,
      );
    }
    return await importModule(url.href, options);
  };
}

/**
 * Indirect, so in the global scope; strict, as the module was that the text comes from. Names that are hidden are those
 * of variables which never get a value: using one throws.
 */
function run(expression: string, hidden: readonly string[], importer: unknown): unknown {
  const declared = hidden.length === 0 ? "" : `let ${hidden.join(", ")};`;
  return (0, eval)(`"use strict"; (${IMPORT}) => { return ${expression}; ${declared} }`)(importer);
}

function evaluate(expression: string, hidden: readonly string[], importer: unknown): TaskFunction | undefined {
  try {
    const value = run(expression, hidden, importer);
    return typeof value === "function" ? value as TaskFunction : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/** The text of a shorthand method is a function only inside of an object. */
function evaluateMethod(code: string, hidden: readonly string[], importer: unknown): TaskFunction | undefined {
  if (/^(get|set)\s+[^(]/.test(code)) return undefined;
  try {
    const fn = Object.values(run(`({${code}\n})`, hidden, importer) as object)[0];
    return typeof fn === "function" ? fn : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof ReferenceError)) throw error;
    return undefined;
  }
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

/** Global names of a program and of a process that no thread has. */
const OF_PROGRAMS = ["alert", "confirm", "prompt", "localStorage", "sessionStorage"];

/** Adds to a missing name's error what the reader must know: that the function was sent alone. */
function explained(error: unknown, definition: Sent, hidden: readonly string[]): unknown {
  try {
    if (!(error instanceof ReferenceError)) return error;
    const { message } = error;
    const missing = /^(.+) is not defined$/.exec(message)?.[1] ??
      hidden.find((name) => message === `Cannot access '${name}' before initialization`);
    if (missing === undefined) return error;
    const lacks = OF_PROGRAMS.includes(missing) && message.endsWith("defined")
      ? " threads have none. If it is a name of your own:"
      : "";
    error.message = `${missing} is not defined:${lacks} the function ${definition.name || "(anonymous)"} was sent to ` +
      `the worker as source text, so it sees no names from around it. To mend it, ${definition.mend ?? MEND}`;
  } catch {
    // It is frozen, as a function's own can be, or cannot be asked.
  }
  return error;
}
