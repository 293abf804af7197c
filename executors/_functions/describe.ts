/**
 * How a function is described so that a worker finds it again: the submitting side.
 *
 * JavaScript does not tell where a function comes from. So this searches the texts of the modules on the call stack,
 * and of the main module, for an export or an import of the function's name; neither side runs a module for that. The
 * worker imports what was found here, and uses an export only if its source text is the function's.
 *
 * @module
 */

import { callers, isUnreadable, mainModule, outlineOf, type Place, readModule } from "./_callers.ts";
import { ambiguous, type Definition } from "./definition.ts";
import { computes, findBinding, findByName, findInImports, findVariable, resolveFrom } from "./_exports.ts";
import { interactiveBase, interactiveMend, isRedeclared } from "./_interactive.ts";
import { exportOf, isExport } from "./_namespaces.ts";
import { builtinModule, isGlobalOfNode, nameOfNative } from "./_native_functions.ts";
import { certainlyUsesValue } from "./_outline.ts";
import { refusalOfGlobal, refusalOfNative, refusalOfNode } from "./_refusals.ts";
import { type Call, callAt, declaresAnother, isLocal } from "./_scopes.ts";
import { FunctionText } from "./_text.ts";
import { locationOf, type TaskLocation } from "../task_ref.ts";

// deno-lint-ignore ban-types -- any function will do
type AnyFunction = Function;

const described = new WeakMap<AnyFunction, Definition>();
const describedExports = new WeakMap<AnyFunction, Definition>();

/**
 * Describes a function. The search for its module takes place only once for each function.
 *
 * @param mustBeExport Whether its text is of no use to the executor, which needs an export also where the text could
 * run alone.
 * @throws {TaskNotFoundError} It is native, bound or a part of Deno, so it has no source text to send or compare; or it
 * may be one of two functions.
 */
export function describe(fn: AnyFunction, mustBeExport = false): Definition {
  const known = mustBeExport ? describedExports : described;
  let definition = known.get(fn);
  if (definition === undefined) {
    definition = describeNew(fn, mustBeExport);
    known.set(fn, definition);
  }
  return definition;
}

/** The call stacks of {@linkcode noteCallers}. */
const noted = new WeakMap<AnyFunction, readonly Place[]>();

/**
 * Remembers who gives a function to this library now, because it is submitted later, in a call that may come from
 * anywhere. It reads no module.
 */
export function noteCallers(fn: AnyFunction): void {
  if (described.has(fn) || noted.has(fn)) return;
  if (known.get(textKeyOf(fn, false))?.definition === undefined) noted.set(fn, callers());
}

/** What is known of functions that a program makes anew for each call. */
interface Known {
  /** Left out where it also depends on the place of the call. */
  readonly definition?: Definition;
  /** Whether somebody has looked if the text alone decides. */
  isRead: boolean;
}

/** The key is all that the definition depends on. */
const known = new Map<string, Known>();
const MAX_KNOWN = 10_000;

function remember(key: string, isRead: boolean, definition?: Definition): void {
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(key, { definition, isRead });
}

/** The key of a text that needs nothing from around it, which means the same wherever it stands. */
function textKeyOf(fn: AnyFunction, mustBeExport: boolean): string {
  const source = Function.prototype.toString.call(fn);
  const name = nameOf(fn);
  return `${mustBeExport ? "export " : ""}${name === "" ? source : `${name}\n${source}`}`;
}

function nameOf(fn: AnyFunction): string {
  return typeof fn.name === "string" ? fn.name : "";
}

function describeNew(fn: AnyFunction, mustBeExport: boolean): Definition {
  const location = locationOf(fn);
  if (location !== undefined) return { how: "reference", name: fn.name, ...location };
  const source = Function.prototype.toString.call(fn);
  const name = nameOf(fn);
  const exported = exportOf(fn);
  if (exported !== undefined) return { how: "search", name, source, exports: [exported], unread: [] };
  const textKey = textKeyOf(fn, mustBeExport);
  const remembered = known.get(textKey);
  if (remembered?.definition !== undefined) return remembered.definition;
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) throw refusalOfNative(fn, name);
  const places = noted.get(fn) ?? callers();
  const urls = new Set(places.map(({ url }) => url));
  const main = mainModule();
  if (main !== undefined) urls.add(main);
  const search = new Search(fn, name, source, places, [...urls], mustBeExport);
  const key = `${textKey}\n${[...urls].join("\n")}`;
  let found = known.get(key);
  if (found !== undefined && found.definition === undefined) found = known.get(`${key}\n${search.position}`);
  if (found?.definition !== undefined) {
    if (!found.isRead && search.isAlone) remember(textKey, true, found.definition);
    found.isRead = true;
    return found.definition;
  }
  const definition = search.definition();
  if (search.hasAskedFunction) return definition;
  const { hasReadFunction } = search;
  if (hasReadFunction && search.isAlone) remember(textKey, true, definition);
  else if (search.hasLookedAtCall) {
    remember(key, true);
    remember(`${key}\n${search.position}`, hasReadFunction, definition);
  } else remember(key, hasReadFunction, definition);
  return definition;
}

/** The search for a function that is new. Each step that takes time waits until it is needed. */
class Search {
  readonly #fn: AnyFunction;
  readonly #name: string;
  readonly #source: string;
  readonly #places: readonly Place[];
  /** The modules on the call stack, and the main one. */
  readonly #urls: readonly string[];
  readonly #mustBeExport: boolean;
  /** What paths are relative to in a line of the REPL. */
  readonly #base: string | undefined;
  #text: FunctionText | undefined;
  #free: ReadonlySet<string> | undefined;
  #call: Call | undefined;
  #hidden: readonly string[] | undefined;
  /** Whether the definition depends on the place of the call. */
  hasLookedAtCall = false;
  /** Whether it depends on the function itself, not only on its text. */
  hasAskedFunction = false;

  constructor(
    fn: AnyFunction,
    name: string,
    source: string,
    places: readonly Place[],
    urls: readonly string[],
    mustBeExport: boolean,
  ) {
    this.#mustBeExport = mustBeExport;
    this.#fn = fn;
    this.#name = name;
    this.#source = source;
    this.#places = places;
    this.#urls = urls;
    this.#base = interactiveBase(places);
  }

  /** The place of the call of this library, as text. */
  get position(): string {
    return this.#places.length === 0 ? "" : this.#places[0].position.join();
  }

  get hasReadFunction(): boolean {
    return this.#text !== undefined;
  }

  get text(): FunctionText {
    return this.#text ??= new FunctionText(this.#source);
  }

  /** The call of this library; `undefined` where its module cannot be read. */
  get call(): Call | undefined {
    if (!this.hasLookedAtCall && this.#places.length > 0) {
      this.hasLookedAtCall = true;
      const read = readModule(this.#places[0].url);
      this.#call = read && callAt(read, this.#places[0].position);
    }
    return this.#call;
  }

  /** Names that the function may take from around it. */
  get free(): ReadonlySet<string> {
    return this.#free ??= this.text.freeNames();
  }

  /** Global names among them that mean something else where the function comes from. */
  get hidden(): readonly string[] {
    return this.#hidden ??= this.#findHidden(
      Array.from(this.free).filter((name) => name in globalThis && name !== "eval"),
    );
  }

  /** Whether its text alone makes the function, and may. */
  get isAlone(): boolean {
    return !this.#mustBeExport && !this.text.needsModule && Array.from(this.free).every((name) => name in globalThis) &&
      this.hidden.length === 0;
  }

  /** Which of these names are hidden: that shows where the function stands in the call, or in the calling module. */
  #findHidden(globals: readonly string[]): string[] {
    if (globals.length === 0) return [];
    if (this.#base !== undefined) {
      this.hasAskedFunction = true; // What it means may change with the next line.
      return globals.filter(isRedeclared);
    }
    if (this.call?.argument === undefined) return [];
    const { at, argument } = this.call;
    const module = outlineOf(this.#places[0].url)!;
    if (argument.kind === "variable") {
      const [root] = argument.path;
      if (argument.path.length > 1 || root !== this.#name || module.imports.has(root)) return [];
      if (!argument.isLocal && !module.values.has(root)) return [];
    }
    return globals.filter((name) => {
      if (isLocal(module.tokens, name, at) || module.values.has(name)) return true;
      const binding = module.imports.get(name);
      return binding !== undefined && !isGlobalOfNode(binding, name);
    });
  }

  definition(): Definition {
    const name = this.#name;
    const source = this.#source;
    const unread = name === "" ? [] : this.#urls.filter((url) => /^https?:/.test(url));
    let exports = name === "" ? [] : distinct(this.#urls.flatMap((url) => findByName(url, name, outlineOf)));
    exports = exports.filter((at) => !this.#isNodes(at));
    if (exports.length === 1 && unread.length === 0 && !this.#hasOthers(exports, () => [])) {
      return { how: "search", name, source, exports, unread };
    }
    if (exports.length > 0) exports = this.#isUnexported() ? [] : this.#withoutDoubt(exports);
    else if (!this.isAlone) exports = this.#beyondNames();
    const sent = { name, source, ...this.#surroundings() };
    if (exports.length === 0 && unread.length === 0) {
      return { how: "source", ...sent, ...this.text.needs(name, sent.mend) };
    }
    return { how: "search", ...sent, exports, unread };
  }

  /**
   * Whether what a module imports under the function's name is a part of Deno, and another function.
   *
   * @throws {TaskNotFoundError} It is this very function.
   */
  #isNodes({ module, path }: TaskLocation): boolean {
    if (!module.startsWith("node:")) return false;
    if (builtinModule(module)?.[path] === this.#fn) throw refusalOfNode(module, path, this.#urls);
    return true;
  }

  /** What the worker is told of the place that the text comes from. */
  #surroundings(): { hidden?: readonly string[]; base?: string; mend?: string } {
    const base = this.text.imports.length > 0 ? this.#places[0]?.url ?? this.#base : undefined;
    const mend = this.isAlone ? undefined : this.#mend();
    return {
      ...(this.hidden.length === 0 ? {} : { hidden: this.hidden }),
      ...(base === undefined ? {} : { base }),
      ...(mend === undefined ? {} : { mend }),
    };
  }

  /** What the user can do where something hinders the search for an export. */
  #mend(): string | undefined {
    if (this.#base !== undefined && !this.#mustBeExport) return interactiveMend(this.#name);
    const isText = (url: string) => /^https?:/.test(url) || outlineOf(url) !== undefined;
    const unknown = this.#urls.find((url) => !isText(url));
    if (unknown !== undefined) {
      return isUnreadable(unknown)
        ? "grant --allow-read for the program's modules, use taskRef(), or pass what it uses as arguments. " +
          `No export can be found through a module that this program may not read: ${unknown}`
        : "use taskRef(), or pass what it uses as arguments. " +
          `No export can be found through a module that is not a file: ${unknown}`;
    }
    for (const { url } of this.#places) {
      const { specifier, name } = outlineOf(url)?.imports.get(this.#name) ?? {};
      if (specifier === undefined || resolveFrom(specifier, url) !== undefined) continue;
      return `use taskRef(import.meta.resolve("${specifier}"), "${name}"), or pass what it uses as arguments. ` +
        `Only its own package can resolve "${specifier}"`;
    }
    return undefined;
  }

  /**
   * What may be the function where no export has its name: a module may export it under another one, or as the value
   * of an expression.
   */
  #beyondNames(): TaskLocation[] {
    if (this.call?.argument?.kind === "function") return [];
    const called = this.#called();
    if (called !== undefined) return [called];
    this.#refuseNative();
    const imported = this.#name === ""
      ? []
      : distinct(this.#urls.flatMap((url) => findInImports(url, this.#name, outlineOf)));
    if (imported.length > 0) return imported;
    const exported = exportOf(this.#fn, this.#computing());
    return exported === undefined ? [] : [exported];
  }

  /** @throws {TaskNotFoundError} The function is a part of Deno. */
  #refuseNative(): void {
    const builtin = nameOfNative(this.#fn, this.#name);
    if (builtin !== undefined) throw refusalOfGlobal(builtin, this.#urls);
    for (const { url } of this.#places) {
      for (const { specifier } of outlineOf(url)?.imports.values() ?? []) {
        this.#isNodes({ module: specifier, path: this.#name });
      }
    }
  }

  /** The export that the variable in the call stands for. */
  #called(): TaskLocation | undefined {
    const argument = this.call?.argument;
    if (argument?.kind !== "variable" || argument.isLocal) return undefined;
    const { url } = this.#places[0];
    const found = findVariable(url, argument.path, outlineOf);
    if (found === undefined || found.kind === "module" || found.kind === "function" && found.name !== this.#name) {
      return undefined;
    }
    return this.#isNodes(found.at) ? undefined : found.at;
  }

  /** The modules that are loaded and may export the function as the value of an expression. */
  #computing(): string[] {
    return this.#places.flatMap(({ url }) => {
      const module = outlineOf(url);
      if (module === undefined) return [];
      const imported = [...module.imports].flatMap(([local, binding]) => {
        if (!certainlyUsesValue(module, local)) return [];
        const found = findBinding(url, binding, outlineOf);
        if (found?.kind === "computed") return [found.at.module];
        return found?.kind === "module" && computes(found.url, outlineOf) ? [found.url] : [];
      });
      return computes(url, outlineOf) ? [url, ...imported] : imported;
    });
  }

  /**
   * Whether the call shows that no module exports the function: it stands there, or in a variable of its module's own.
   */
  #isUnexported(): boolean {
    const argument = this.call?.argument;
    if (argument?.kind !== "variable") return argument !== undefined;
    const [root] = argument.path;
    if (argument.path.length > 1 || root !== this.#name) return false;
    const { values, exports } = outlineOf(this.#places[0].url)!;
    return argument.isLocal || values.has(root) && ![...exports.values()].includes(root);
  }

  /** Leaves only the function itself: another one may have the same name and text, and other values around it. */
  #withoutDoubt(exports: TaskLocation[]): TaskLocation[] {
    // Whichever of them it is, its text does the same, and runs no module.
    if (this.isAlone) return [];
    const hasTwins = this.#hasOthers(exports, () => {
      return this.text.tokens.filter(({ kind }) => kind === "name").map(({ text }) => text);
    });
    if (exports.length === 1 && !hasTwins) return exports;
    this.hasAskedFunction = true;
    const answers = exports.map((at) => this.#isLoaded(at.module) ? isExport(this.#fn, at) : undefined);
    const certain = answers.indexOf(true);
    if (certain >= 0) return [exports[certain]];
    const possible = exports.filter((_, i) => answers[i] === undefined);
    if (possible.length === 0) return [];
    // The modules of those are still being evaluated, as the main module mostly is.
    const called = this.#called();
    if (called !== undefined) return [called];
    if (!hasTwins) return possible;
    const modules = possible.map(({ module }) => module);
    throw ambiguous(this.#name, "several functions have that name and may have the same text", modules);
  }

  /** Whether there is another function of that name, with these names in its text, where this one may come from. */
  #hasOthers(exports: readonly TaskLocation[], names: () => readonly string[]): boolean {
    const urls = new Set([...this.#places.map(({ url }) => url), ...exports.map(({ module }) => module)]);
    return [...urls].some((url) => {
      const module = outlineOf(url);
      if (module === undefined) return false;
      const isExported = exports.some((at) => at.module === url && typeof module.exports.get(at.path) === "string");
      return declaresAnother(module, this.#name, isExported, names);
    });
  }

  /** Whether this program has certainly loaded a module. */
  #isLoaded(url: string): boolean {
    return this.#places.some((place) => {
      if (place.url === url) return true;
      const module = outlineOf(place.url);
      return module !== undefined && [...module.imports].some(([local, binding]) => {
        const found = findBinding(place.url, binding, outlineOf);
        const imported = found?.kind === "module" ? found.url : found?.at.module;
        return imported === url && certainlyUsesValue(module, local);
      });
    });
  }
}

function distinct(locations: TaskLocation[]): TaskLocation[] {
  return [...new Map(locations.map((at) => [`${at.module} ${at.path}`, at])).values()];
}
