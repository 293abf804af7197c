/**
 * How a worker finds a function again: the other side of `describe.ts`.
 *
 * @module
 */

import { TaskNotFoundError } from "../../futures/errors.ts";
import { ambiguous, type Definition } from "./definition.ts";
import { fromSource } from "./_source.ts";
import { missing, reach, type TaskLocation } from "../task_ref.ts";

export { explain, explainAs, isThenable } from "./_source.ts";

/** A task's function, with its receiver already bound to it. */
export type TaskFunction = (...args: unknown[]) => unknown;

/** The key of the URL of the module that a worker is importing for a task. Executors refuse to work meanwhile. */
const IMPORTING = Symbol.for("@concurrent/futures importing");

/** The URL of the module that this worker is importing for a task; `undefined` when it is importing none. */
export function importingModule(): string | undefined {
  return (globalThis as { [IMPORTING]?: string })[IMPORTING];
}

type Namespace = { [name: string]: unknown };

/** Imports a module, or only its text: `import()`, or a function that stands for it where that is not permitted. */
export type Import = (url: string, options?: ImportCallOptions) => Promise<Namespace>;

async function importModule(url: string, load: Import): Promise<Namespace> {
  const global = globalThis as { [IMPORTING]?: string };
  global[IMPORTING] = url;
  try {
    return await load(url);
  } catch (error) {
    throw isMissing(error)
      ? new TaskNotFoundError(`Cannot import the module of a task, ${url}: ${error.message}`, [url], { cause: error })
      : error;
  } finally {
    global[IMPORTING] = undefined;
  }
}

/**
 * Whether an error says that the module, or one that it imports, does not exist. Such an error can also be the module's
 * own, when its evaluation has imported something.
 */
function isMissing(error: unknown): error is Error {
  if (!(error instanceof TypeError) || (error as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") return false;
  return !/^(SyntaxError|Requires )/.test(error.message) && String(error.stack).includes(import.meta.url);
}

/**
 * Gets the function that a definition describes.
 *
 * @throws {TaskNotFoundError} It finds none.
 * @throws What the module throws while it is imported.
 */
export async function resolve(definition: Definition, load: Import): Promise<TaskFunction> {
  switch (definition.how) {
    case "reference":
      return await dereference(definition, load);
    case "search":
      return await search(definition, load) ?? await fromSource(definition);
    case "source":
      return await fromSource(definition);
  }
}

async function dereference(
  { module, path }: Extract<Definition, { how: "reference" }>,
  load: Import,
): Promise<TaskFunction> {
  const namespace = await importModule(module, load);
  const { fn, self } = reach(namespace, path);
  if (typeof fn !== "function") {
    throw new TaskNotFoundError(missing({ module, path }, namespace, fn), [module]);
  }
  return self === undefined ? fn as TaskFunction : fn.bind(self);
}

async function search(
  { name, source, exports, unread }: Extract<Definition, { how: "search" }>,
  load: Import,
): Promise<TaskFunction | undefined> {
  const found = new Map<unknown, string>();
  for (const { module, path } of [...exports, ...await readExports(name, unread, load)]) {
    const { fn } = reach(await importModule(module, load), path);
    // Not by the name alone: a module may have changed, or define another function of that name.
    if (typeof fn === "function" && fn.name === name && Function.prototype.toString.call(fn) === source) {
      found.set(fn, module);
    }
  }
  if (found.size > 1) {
    const urls = [...found.values()];
    throw ambiguous(name, "several exports have the same text", urls);
  }
  return found.keys().next().value as TaskFunction | undefined;
}

async function readExports(name: string, urls: readonly string[], load: Import): Promise<TaskLocation[]> {
  return urls.length === 0 ? [] : await (await import("./_remote.ts")).readExports(name, urls, load);
}
