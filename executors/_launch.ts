/**
 * How a child is started.
 *
 * @module
 */

/** All that a broker needs to know to start children. */
export interface Launch {
  /** Deno's executable. */
  deno: string;
  /** The arguments before the main module. */
  flags: string[];
  /** Whether children may import any local module. */
  canRead: boolean;
  /** The arguments of this program, which children have too. */
  args: string[];
  /** The main module of this program. */
  mainModule: string | undefined;
  env: { [name: string]: string } | undefined;
  cwd: string | undefined;
}

/** The arguments for a child that may import the modules, besides its permissions. */
export function childArguments({ flags, args }: Launch, modules: Iterable<string>): string[] {
  return ["run", "--quiet", "--no-check", "--no-prompt", ...flags, mainModuleOf(modules), ...args];
}

/**
 * The main module of a child, as a URL. The modules that its tasks come from are written out in it: what a main module names needs no permission
 * to be loaded. They are imported when the first task wants them.
 */
function mainModuleOf(modules: Iterable<string>): string {
  const child = JSON.stringify(import.meta.resolve("./_child.ts"));
  const imports = Array.from(modules, (url) => `${JSON.stringify(url)}: () => import(${JSON.stringify(url)}),\n`);
  return `data:application/javascript,${
    encodeURIComponent(`import { serve } from ${child};\nawait serve({\n${imports.join("")}});\n`)
  }`;
}

/**
 * The arguments that make a child resolve imports as this program does: with the next configuration file above the main module, as Deno looks for
 * it. A child's main module has no folder, so it has to be told. Where Deno keeps no lock file yet, children make none.
 */
export function configFlags(): string[] {
  let folder: URL;
  try {
    folder = new URL(".", Deno.mainModule);
  } catch {
    return [];
  }
  while (folder.protocol === "file:") {
    for (const name of ["deno.json", "deno.jsonc"]) {
      const file = new URL(name, folder);
      if (!isFile(file)) continue;
      return [`--config=${pathOf(file)}`, ...(isFile(new URL("deno.lock", folder)) ? [] : ["--no-lock"])];
    }
    const parent = new URL("..", folder);
    if (parent.href === folder.href) return [];
    folder = parent;
  }
  return [];
}

function isFile(url: URL): boolean {
  // Asked first, because looking without the permission would prompt.
  if (Deno.permissions.querySync({ name: "read", path: url }).state !== "granted") return false;
  try {
    return Deno.statSync(url).isFile;
  } catch {
    return false;
  }
}

/** The path that a `file:` URL stands for. */
export function pathOf(url: URL): string {
  return decodeURIComponent(url.pathname).replace(/^\/([A-Za-z]:)/, "$1");
}
