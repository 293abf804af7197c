/**
 * How a function's source text becomes a function again, in the worker.
 *
 * @module
 */

import { TaskNotFoundError } from "../../futures/errors.ts";
import { MEND, type Needs, notSendable, type Sent } from "./definition.ts";
import { isExit } from "../../futures/task_exit.ts";
import { importModule } from "./import.ts";
import type { TaskFunction } from "./resolve.ts";

/**
 * Makes a function of its text. {@linkcode explain} then tells its errors that come from having been sent alone.
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
    throw notSendable(name, source, "its text is no function by itself", mend);
  }
  explanations.set(fn, (error) => explained(error, definition, hidden));
  return fn;
}

/**
 * For each function that was sent as text, how its errors are explained. A function around it that catches them would
 * put its arguments on the stack a second time.
 */
const explanations = new WeakMap<TaskFunction, (error: unknown) => unknown>();

/** Adds to the error of a function that was sent as text that this is why it has failed, where it is. */
export function explain(fn: TaskFunction | undefined, error: unknown): unknown {
  const explanation = fn && explanations.get(fn);
  return explanation === undefined ? error : explanation(error);
}

/** Has the errors of a function explained as those of another one, which it calls. */
export function explainAs(fn: TaskFunction, inner: TaskFunction): void {
  const explanation = explanations.get(inner);
  if (explanation !== undefined) explanations.set(fn, explanation);
}

/**
 * What the text needs. The program has not looked where it had found an export, which turned out to be another
 * function.
 */
async function needsOf({ name, source, mend }: Sent): Promise<Needs> {
  const { FunctionText } = await import("./_text.ts");
  return new FunctionText(source).needs(name, mend);
}

/** Stands for `import` in the text, which would resolve specifiers as if this module had written them. */
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
        `Cannot import ${JSON.stringify(text)} in the function ${
          name || "(anonymous)"
        }, because it was sent as source ` +
          "text, and nothing tells what the path is relative to. " +
          "To fix it, export the function, or call import.meta.resolve() outside of it",
      );
    }
    return await importModule(url.href, options);
  };
}

/**
 * Runs the text in the global scope, by an indirect `eval`, and in strict mode, as in the module that it comes from.
 * The names to hide are declared behind the `return`: these variables never get a value, so each use of one throws.
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

/** Evaluates the text of a method, which is a function only inside of an object. */
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

/** The text of a method, with its name in place of the expression that has computed it. */
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

/** Whether a worker awaits a value that a task returns. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
  } catch (error) {
    if (isExit(error)) throw error;
    // A thing that throws when it is asked is refused later, with its path.
    return false;
  }
}

/** Global names that programs and processes have, and threads have not. */
const OF_PROGRAMS = ["alert", "confirm", "prompt", "localStorage", "sessionStorage"];

/** Adds to the error of a missing name what its reader must know: that the function was sent alone. */
function explained(error: unknown, definition: Sent, hidden: readonly string[]): unknown {
  try {
    if (!(error instanceof ReferenceError)) return error;
    const { message } = error;
    const missing = /^(.+) is not defined$/.exec(message)?.[1] ??
      hidden.find((name) => message === `Cannot access '${name}' before initialization`);
    if (missing === undefined) return error;
    const lacks = OF_PROGRAMS.includes(missing) && message.endsWith("defined")
      ? " threads do not have it. If it is a variable of your own:"
      : "";
    error.message = `${missing} is not defined:${lacks} the function ${definition.name || "(anonymous)"} was sent to ` +
      `the worker as source text, so it does not see the variables around it. To fix it, ${definition.mend ?? MEND}`;
  } catch {
    // The error is frozen, or throws when it is asked.
  }
  return error;
}
