/**
 * How a function is described so that a worker finds it again: the submitting side.
 *
 * JavaScript does not tell where a function comes from. So the modules on the call stack and the main module are read, not
 * imported, and searched for an export or an import of the function's name. The worker imports what was found, and uses
 * an export only if its source text is the function's: a wrong guess costs time, and never runs a wrong function.
 *
 * @module
 */

import { TaskNotFoundError } from "../futures/errors.ts";
import type { Definition } from "./_definition.ts";
import { locationOf } from "./task_ref.ts";

// deno-lint-ignore ban-types -- any function will do
type AnyFunction = Function;

const described = new WeakMap<AnyFunction, Definition>();

/**
 * Describes a function. Its module is looked for only the first time that it is seen.
 *
 * @throws {TaskNotFoundError} It is native or bound, so it has no source text, and no module that could be compared.
 */
export function describe(fn: AnyFunction): Definition {
  let definition = described.get(fn);
  if (definition === undefined) {
    definition = describeNew(fn);
    described.set(fn, definition);
  }
  return definition;
}

/** Definitions of functions that are made anew for each call, by what decides about them. */
const known = new Map<string, Definition>();
const MOST_KNOWN = 10_000;

function describeNew(fn: AnyFunction): Definition {
  const location = locationOf(fn);
  if (location !== undefined) return { how: "reference", name: fn.name, ...location };
  const source = Function.prototype.toString.call(fn);
  const name = typeof fn.name === "string" ? fn.name : "";
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source) || isBuiltIn(fn, name)) {
    const modules = moduleUrls();
    throw new TaskNotFoundError(
      `Cannot send a native or bound function to a worker: ${
        name || "anonymous"
      }. Call it in a function of your own: (x) => ${name.replace(/^bound /, "") || "fn"}(x). Not looked for in: ${
        modules.join(", ")
      }`,
      modules,
    );
  }
  // A function without a name is not the export of a declaration: even a default export has one.
  if (name === "") return remember(source, () => computedDefinition(fn, source));
  const urls = moduleUrls();
  return remember(`${name}\n${urls.join("\n")}\n${source}`, () => {
    const { modules, isDoubtful } = candidates(fn, name, source, urls);
    const definition: Definition = modules.length === 0
      ? { how: "source", name, source }
      : { how: "search", name, source, modules };
    return { definition, holdsForText: !isDoubtful };
  });
}

/** Describes a function, or takes over how another one with the same key was, where only the text decides. */
function remember(key: string, describe: () => { definition: Definition; holdsForText: boolean }): Definition {
  const remembered = known.get(key);
  if (remembered !== undefined) return remembered;
  const { definition, holdsForText } = describe();
  if (known.size >= MOST_KNOWN) known.clear();
  if (holdsForText) known.set(key, definition);
  return definition;
}

/** Whether a function is a part of Deno that is written in JavaScript, whose text needs what is around it. */
function isBuiltIn(fn: AnyFunction, name: string): boolean {
  return [globalThis, Deno].some((holder) => (holder as unknown as { [name: string]: unknown })[name] === fn);
}

/** URLs of the modules on the call stack, the nearest first, and of the main module; without this library's own. */
function moduleUrls(): string[] {
  const { prepareStackTrace, stackTraceLimit } = Error as unknown as {
    prepareStackTrace: unknown;
    stackTraceLimit: number;
  };
  const files = new Set<string>();
  try {
    Object.assign(Error, {
      stackTraceLimit: 50,
      prepareStackTrace(_: unknown, frames: { getFileName(): string | null }[]) {
        for (const frame of frames) files.add(frame.getFileName() ?? "");
        return "";
      },
    });
    // Reading it is what calls prepareStackTrace.
    void new Error().stack;
  } finally {
    Object.assign(Error, { stackTraceLimit, prepareStackTrace });
  }
  const urls = new Set<string>();
  for (const file of files) {
    let url = urlsOfFiles.get(file);
    if (url === undefined) urlsOfFiles.set(file, url = moduleUrl(file));
    if (url !== NO_MODULE) urls.add(url);
  }
  const main = mainModule();
  if (main !== undefined) urls.add(main);
  return [...urls];
}

const OWN_FOLDER = new URL(".", import.meta.url).href;
const NO_MODULE = "";
const urlsOfFiles = new Map<string, string>();

/** The URL of the module that a frame names, unless it is this library's or a part of Deno. */
function moduleUrl(file: string): string {
  const url = toUrl(file);
  const isModule = url !== undefined && !url.startsWith(OWN_FOLDER) && /^(file|https?|data|blob):/.test(url);
  return isModule ? url : NO_MODULE;
}

function toUrl(file: string): string | undefined {
  // Frames of local modules name a path, on Windows with a drive's letter, which would pass for a scheme.
  if (/^([/\\]|[A-Za-z]:[/\\])/.test(file)) {
    const url = new URL("file:///");
    url.pathname = file.replaceAll("\\", "/").replaceAll("%", "%25");
    return url.href;
  }
  return URL.parse(file)?.href;
}

let main: string | undefined;

function mainModule(): string | undefined {
  try {
    return main ??= Deno.mainModule;
  } catch {
    // Where it may not be read it cannot be imported either.
    return undefined;
  }
}

/** URLs of the modules that may export the function, and whether it took the function itself to tell, not only its text. */
function candidates(
  fn: AnyFunction,
  name: string,
  source: string,
  urls: readonly string[],
): { modules: string[]; isDoubtful: boolean } {
  const found = new Set<string>();
  const guesses = new Set<string>();
  let isDoubtful = false;
  for (const url of urls) {
    const outline = outlineOf(url);
    if (outline === undefined) continue;
    const isExported = outline.exports.has(name);
    if (isExported) found.add(url);
    const declared = outline.text.match(declarationOf(name))?.length ?? 0;
    // Another function of that name: it may even have the same text, and other values around it.
    if (declared > (isExported ? 1 : 0)) isDoubtful = true;
    if (!isExported && outline.text.includes(source)) continue;
    for (const { specifier, names } of outline.imports) {
      if (names !== undefined && !names.has(name)) continue;
      const imported = resolve(specifier, url);
      if (imported !== undefined) (names === undefined ? guesses : found).add(imported);
    }
  }
  // Imports that do not tell the name (default, namespace, export *) are tried only when nothing else will do.
  const modules = [...(found.size > 0 ? found : guesses)];
  isDoubtful = modules.length > 0 && (isDoubtful || found.size > 1);
  if (!isDoubtful) return { modules, isDoubtful };
  const exporters = modules.map((url) => ({ url, exports: isExportOf(url, fn) }));
  const certain = exporters.filter(({ exports }) => exports === true);
  const possible = certain.length > 0 ? certain : exporters.filter(({ exports }) => exports !== false);
  return { modules: possible.map(({ url }) => url), isDoubtful };
}

function declarationOf(name: string): RegExp {
  const escaped = name.replaceAll("$", "\\$");
  return new RegExp(
    `(?:\\bfunction\\s*\\*?\\s*|\\b(?:const|let|var)\\s+)${escaped}\\b|(?<![\\w$.])${escaped}\\s*(?:\\([^()]*\\)\\s*(?::[^{]*)?\\{|[:=]\\s*(?:async\\b|function\\b|\\())`,
    "g",
  );
}

/** Whether a module exports this very function; `undefined` where that cannot be told. */
function isExportOf(url: string, fn: AnyFunction): boolean | undefined {
  const namespace = loadedModule(url);
  return namespace && Object.values(namespace).includes(fn);
}

/**
 * A module that this program has loaded; `undefined` where it cannot be had without waiting, because it is still being evaluated, or
 * uses top-level await. Node's way to do that takes ten milliseconds to set up, so it is used only in doubt.
 */
function loadedModule(url: string): object | undefined {
  const { protocol, pathname, search, hash } = new URL(url);
  if (protocol !== "file:" || search !== "" || hash !== "") return undefined;
  try {
    const { createRequire } = (globalThis as unknown as {
      process: { getBuiltinModule(name: string): { createRequire(from: string): (path: string) => object } };
    }).process.getBuiltinModule("node:module");
    return createRequire(url)(decodeURIComponent(pathname).replace(/^\/([A-Za-z]:)/, "$1"));
  } catch {
    return undefined;
  }
}

/**
 * Describes a function that has no name of its own. It can be exported as the value of an expression, such as
 * `export const f = make(1)`; that is looked for only where a module on the stack has such an export, or imports one by name.
 */
function computedDefinition(fn: AnyFunction, source: string): { definition: Definition; holdsForText: boolean } {
  let holdsForText = true;
  for (const url of moduleUrls()) {
    const outline = outlineOf(url);
    if (outline === undefined) continue;
    const modules = outline.computed.size > 0 ? [url] : [];
    for (const { specifier, names } of outline.imports) {
      const imported = names && resolve(specifier, url);
      const computed = imported && outlineOf(imported)?.computed;
      if (computed && !computed.isDisjointFrom(names)) modules.push(imported);
    }
    for (const module of modules) {
      holdsForText = false;
      const path = Object.entries(loadedModule(module) ?? {}).find(([, value]) => value === fn)?.[0];
      if (path !== undefined) return { definition: { how: "reference", name: "", module, path }, holdsForText };
    }
  }
  return { definition: { how: "source", name: "", source }, holdsForText };
}

function resolve(specifier: string, from: string): string | undefined {
  if (/^(node|npm|ext):/.test(specifier)) return undefined;
  try {
    return /^\.{0,2}\//.test(specifier) ? new URL(specifier, from).href : import.meta.resolve(specifier);
  } catch {
    return undefined;
  }
}

/** What a module's text says about its exports and imports. */
interface Outline {
  text: string;
  /** Local names of what it exports. */
  exports: Set<string>;
  /** Those whose value is that of an expression, not of a function that stands there. */
  computed: Set<string>;
  /** Where it imports from, and under which names; `undefined` where the statement does not say. */
  imports: { specifier: string; names: Set<string> | undefined }[];
}

const outlines = new Map<string, Outline | undefined>();

function outlineOf(url: string): Outline | undefined {
  if (!outlines.has(url)) outlines.set(url, readOutline(url));
  return outlines.get(url);
}

function readOutline(url: string): Outline | undefined {
  let text: string;
  try {
    const { protocol, hostname } = new URL(url);
    if (protocol === "file:") {
      // Asked first, because reading without the permission would prompt.
      if (Deno.permissions.querySync({ name: "read", path: new URL(url) }).state !== "granted") {
        return undefined;
      }
      text = Deno.readTextFileSync(new URL(url));
    } else if (protocol === "http:" || protocol === "https:") {
      // Its text cannot be had while this thread may not wait; so it is taken as a module that may export anything.
      return { text: "", exports: new AnyName(), computed: new Set(), imports: [] };
    } else {
      text = protocol === "data:" ? decodeURIComponent(url.slice(url.indexOf(",") + 1)) : hostname;
    }
  } catch {
    return undefined;
  }
  return outline(text);
}

/** Stands for the names of a module that could not be read. */
class AnyName extends Set<string> {
  override has(): boolean {
    return true;
  }
}

const NAME = "[\\w$\\u0080-\\uFFFF]+";
const EXPORTED = new RegExp(
  `\\bexport\\s+(?:default\\s+)?(?:(?:async\\s+)?function\\s*\\*?|const|let|var|class)\\s*(${NAME})`,
  "g",
);
const EXPORT_COMPUTED = new RegExp(
  `\\bexport\\s+(?:const|let|var)\\s+(${NAME})\\s*(?::[^=]*)?=\\s*(?!async\\b|function\\b|class\\b|${NAME}\\s*=>)[A-Za-z_$]`,
  "g",
);
const EXPORT_DEFAULT = new RegExp(`\\bexport\\s+default\\s+(${NAME})\\s*(?:;|\\n|$)`, "g");
const ANONYMOUS_DEFAULT = /\bexport\s+default\s+(?:(?:async\s+)?function\s*\*?\s*\(|(?:async\s*)?\(|async\s)/;
const EXPORT_LIST = /\bexport\s*\{([^}]*)\}(?:\s*from\s*(["'])(.+?)\2)?/g;
const EXPORT_ALL = /\bexport\s*\*\s*(?:as\s+\S+\s+)?from\s*(["'])(.+?)\1/g;
const IMPORT = new RegExp(
  `\\bimport\\s+(type\\s+)?(?:(${NAME})\\s*,?\\s*)?(?:(\\*\\s*as\\s+${NAME})|\\{([^}]*)\\})?\\s*from\\s*(["'])(.+?)\\5`,
  "g",
);

function outline(source: string): Outline {
  const text = source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const exports = new Set<string>();
  const computed = new Set<string>();
  const imports: Outline["imports"] = [];
  for (const [, name] of text.matchAll(EXPORTED)) exports.add(name);
  for (const [, name] of text.matchAll(EXPORT_COMPUTED)) computed.add(name);
  for (const [, name] of text.matchAll(EXPORT_DEFAULT)) exports.add(name);
  if (ANONYMOUS_DEFAULT.test(text)) exports.add("default");
  for (const [, list, , specifier] of text.matchAll(EXPORT_LIST)) {
    const names = localNames(list);
    for (const name of names) exports.add(name);
    if (specifier !== undefined) imports.push({ specifier, names });
  }
  for (const [, , specifier] of text.matchAll(EXPORT_ALL)) imports.push({ specifier, names: undefined });
  for (const [, isType, byDefault, namespace, list, , specifier] of text.matchAll(IMPORT)) {
    if (isType !== undefined && byDefault !== "from") continue;
    const unnamed = byDefault !== undefined || namespace !== undefined;
    if (list !== undefined) imports.push({ specifier, names: localNames(list) });
    if (unnamed) imports.push({ specifier, names: undefined });
  }
  return { text: source, exports, computed, imports };
}

/** The names before `as` in a list of imports or exports. */
function localNames(list: string): Set<string> {
  const names = new Set<string>();
  for (const item of list.split(",")) {
    const match = new RegExp(`^\\s*(?:type\\s+)?(${NAME})`).exec(item);
    if (match !== null) names.add(match[1]);
  }
  return names;
}
