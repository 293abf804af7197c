/**
 * Which exports a function can be, by the texts of modules: this imports none of them.
 *
 * @module
 */

import type { TaskLocation } from "../task_ref.ts";
import { type Binding, type Outline, usesValue } from "./_outline.ts";

/** Gives the outline of a module; `undefined` where its text cannot be read. */
export type Look = (url: string) => Outline | undefined;

/** What an export is. */
export type Found =
  | { readonly kind: "function"; readonly name: string; readonly at: TaskLocation }
  /** Its value may be a function; the text does not say which. */
  | { readonly kind: "computed"; readonly at: TaskLocation }
  /** Its module's text could not be read. */
  | { readonly kind: "unread"; readonly at: TaskLocation }
  /** A whole module. */
  | { readonly kind: "module"; readonly url: string };

/** What a module exports under a name; `undefined` where that is no function. */
export function findExport(url: string, path: string, look: Look, seen = new Set<string>()): Found | undefined {
  if (seen.has(`${url} ${path}`)) return undefined;
  seen.add(`${url} ${path}`);
  const module = look(url);
  if (module === undefined || isCommonJs(module)) return { kind: "unread", at: { module: url, path } };
  const exported = module.exports.get(path);
  if (typeof exported === "string") {
    return placed(findLocal(url, module, exported, look, seen), { module: url, path });
  }
  if (exported !== undefined) return placed(findBinding(url, exported, look, seen), { module: url, path });
  if (path === "default") return undefined;
  for (const specifier of module.reexported) {
    const found = placed(findBinding(url, { specifier, name: path }, look, seen), { module: url, path });
    if (found !== undefined && found.kind !== "unread") return found;
  }
  return undefined;
}

/** Whether a module has neither imports nor exports, so that it must be one of CommonJS where others import from it. */
function isCommonJs({ imports, exports, reexported }: Outline): boolean {
  return imports.size === 0 && exports.size === 0 && reexported.length === 0;
}

/** What the value of a module's variable is; `undefined` where that is no function, or not known. */
export function findLocal(
  url: string,
  module: Outline,
  local: string,
  look: Look,
  seen = new Set<string>(),
): Found | undefined {
  const binding = module.imports.get(local);
  if (binding !== undefined) return findBinding(url, binding, look, seen);
  const value = module.values.get(local);
  const at = { module: url, path: "" };
  switch (value?.kind) {
    case "function":
      return { kind: "function", name: value.name, at };
    case "computed":
      return { kind: "computed", at };
    case "alias":
      if (seen.has(`${url} of ${local}`)) return undefined;
      seen.add(`${url} of ${local}`);
      return module.values.has(value.of) || module.imports.has(value.of)
        ? findLocal(url, module, value.of, look, seen)
        : { kind: "computed", at };
    default:
      return undefined;
  }
}

/** What an import or a re-export of a module stands for. */
export function findBinding(
  url: string,
  { specifier, name }: Binding,
  look: Look,
  seen = new Set<string>(),
): Found | undefined {
  const target = resolveFrom(specifier, url);
  if (target === undefined) return undefined;
  return name === "*" ? { kind: "module", url: target } : findExport(target, name, look, seen);
}

function placed(found: Found | undefined, at: TaskLocation): Found | undefined {
  return found === undefined || found.kind === "module" ? found : { ...found, at };
}

/** The export that a variable of a module, or a property of one, stands for. */
export function findVariable(
  url: string,
  [root, ...properties]: readonly string[],
  look: Look,
): Found | undefined {
  const module = look(url);
  const binding = module?.imports.get(root);
  if (properties.length > 1 || properties.length === 1 && binding?.name !== "*") return undefined;
  if (binding !== undefined) {
    return findBinding(url, properties.length === 0 ? binding : { ...binding, name: properties[0] }, look);
  }
  const exported = [...module?.exports ?? []].find(([, local]) => local === root);
  return exported && findExport(url, exported[0], look);
}

/** Whether a module exports the value of an expression. */
export function computes(url: string, look: Look): boolean {
  return [...look(url)?.exports.keys() ?? []].some((path) => findExport(url, path, look)?.kind === "computed");
}

/** The functions of a name that a module exports, or imports under that name. */
export function findByName(url: string, fn: string, look: Look): TaskLocation[] {
  const module = look(url);
  if (module === undefined) return [];
  const found = exportsNamed(url, fn, look);
  for (const [local, binding] of module.imports) {
    if ((local === fn || binding.name === fn) && usesValue(module, local)) {
      const imported = findBinding(url, binding, look);
      if (imported?.kind === "function" && imported.name === fn) found.push(imported.at);
      if (imported?.kind === "unread" && binding.name === fn) found.push(imported.at);
    }
  }
  return found;
}

/** The functions of a name that a module imports, under whatever name. */
export function findInImports(url: string, fn: string, look: Look): TaskLocation[] {
  const module = look(url);
  if (module === undefined) return [];
  return [...module.imports].flatMap(([local, binding]) => {
    if (!usesValue(module, local)) return [];
    const imported = findBinding(url, binding, look);
    if (imported?.kind === "module") return exportsNamed(imported.url, fn, look);
    return imported?.kind === "function" && imported.name === fn ? [imported.at] : [];
  });
}

/** The exports of a module that are functions of this name. */
function exportsNamed(url: string, fn: string, look: Look, seen = new Set<string>()): TaskLocation[] {
  const module = look(url);
  if (module === undefined || seen.has(url)) return [];
  seen.add(url);
  const found = [...module.exports.keys()].flatMap((path) => {
    const exported = findExport(url, path, look);
    return exported?.kind === "function" && exported.name === fn ? [exported.at] : [];
  });
  return found.concat(module.reexported.flatMap((specifier) => {
    const target = resolveFrom(specifier, url);
    return target === undefined ? [] : exportsNamed(target, fn, look, seen);
  }));
}

/** The URL that a specifier in a module means. */
export function resolveFrom(specifier: string, from: string): string | undefined {
  try {
    return /^\.{0,2}\//.test(specifier) ? new URL(specifier, from).href : import.meta.resolve(specifier);
  } catch {
    return undefined;
  }
}
