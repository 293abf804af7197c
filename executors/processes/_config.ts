/**
 * How a child finds what this program finds: its configuration, its packages and its lock file.
 *
 * @module
 */

import { pathOf } from "../_functions/file_paths.ts";
import { lookAt } from "../_owner/paths.ts";

/**
 * The arguments that make a child resolve imports as this program does: by the next configuration above the main
 * module, as Deno looks for it. The main module of a child lies in no folder, so its arguments name the configuration.
 * Where Deno keeps no lock file yet, children make none.
 */
export function configFlags(): string[] {
  const all = foldersOf(Deno.mainModule);
  const nearest = all.findIndex((folder) => configIn(folder) !== undefined || packageIn(folder) !== undefined);
  if (nearest === -1) return [];
  const folders = all.slice(nearest);
  // A package without a configuration beside it may belong to a workspace.
  const at = folders.findIndex((folder, i) => {
    const config = configIn(folder);
    return config !== undefined && (i === 0 || hasWorkspace(config));
  });
  return at === -1 ? packageFlags(folders) : flagsOf(configIn(folders[at])!, folders.slice(at));
}

/**
 * The same for a package without any configuration. Deno takes the `package.json` of the package, or of its workspace,
 * for a configuration, but does not look for packages beside it by itself.
 */
function packageFlags(folders: URL[]): string[] {
  const hasPackages = folders.some((folder) => isFolder(new URL("node_modules", folder)));
  const root = folders.findIndex((folder) => {
    const file = packageIn(folder);
    return file !== undefined && hasWorkspace(file);
  });
  const rest = folders.slice(Math.max(root, 0));
  return [...(hasPackages ? ["--node-modules-dir=manual"] : []), ...flagsOf(packageIn(rest[0])!, rest)];
}

function flagsOf(config: URL, folders: URL[]): string[] {
  return [`--config=${pathOf(config)}`, ...(hasLock(config, folders) ? [] : ["--no-lock"])];
}

/** The folder of a module, and those above it. */
function foldersOf(module: string): URL[] {
  const folders: URL[] = [];
  let folder: URL;
  try {
    folder = new URL(".", module);
  } catch {
    return [];
  }
  while (folder.protocol === "file:") {
    folders.push(folder);
    const parent = new URL("..", folder);
    if (parent.href === folder.href) break;
    folder = parent;
  }
  return folders;
}

function configIn(folder: URL): URL | undefined {
  return fileIn(folder, "deno.json") ?? fileIn(folder, "deno.jsonc");
}

function packageIn(folder: URL): URL | undefined {
  return fileIn(folder, "package.json");
}

function fileIn(folder: URL, name: string): URL | undefined {
  const file = new URL(name, folder);
  return isFile(file) ? file : undefined;
}

/**
 * Whether the lock file exists that Deno uses with a configuration: the one that it names, or one beside it or at the
 * root of its workspace.
 */
function hasLock(config: URL, [folder, ...above]: URL[]): boolean {
  const { lock } = contentOf(config);
  const path = typeof lock === "object" ? (lock as { path?: unknown } | null)?.path : lock;
  if (typeof path === "string") return isFile(new URL(path, config));
  if (isFile(new URL("deno.lock", folder))) return true;
  return above.some((folder) => {
    const root = configIn(folder) ?? packageIn(folder);
    return root !== undefined && hasWorkspace(root) && isFile(new URL("deno.lock", folder));
  });
}

function hasWorkspace(config: URL): boolean {
  const { workspace, workspaces } = contentOf(config);
  return workspace !== undefined || workspaces !== undefined;
}

/** What a configuration says; an empty object where nobody can read it, as Deno's own message will say that better. */
function contentOf(config: URL): { [name: string]: unknown } {
  try {
    const text = Deno.readTextFileSync(config);
    const plain = text.replace(/("(?:\\.|[^"\\])*")|\/\/.*|\/\*[^]*?\*\//g, "$1");
    return JSON.parse(plain.replace(/("(?:\\.|[^"\\])*")|,(?=\s*[\]}])/g, "$1")) ?? {};
  } catch {
    return {};
  }
}

function isFile(url: URL): boolean {
  return lookAt(url)?.isFile ?? false;
}

function isFolder(url: URL): boolean {
  return lookAt(url)?.isDirectory ?? false;
}
