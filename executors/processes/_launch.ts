/**
 * How a child is started.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import { importFlags } from "./_hosts.ts";
import { pathOf } from "../_functions/file_paths.ts";
import { absolutePath, isPath } from "../_owner/paths.ts";

/** All that a broker needs to know to start children. */
export interface Launch {
  /** Deno's executable. */
  deno: string;
  /**
   * The URL of the module that serves in a child. Where it is named it is a part of the program: so this program has
   * it at hand, and the broker does not look at all that a child loads.
   */
  child: string;
  /** Whether that is Deno itself, as far as is known: a program that starts Deno has another process number. */
  isDeno: boolean;
  /** The arguments before the main module. */
  flags: string[];
  /** The hosts that children may import from, besides those of their modules; `undefined`: any. */
  imports: readonly string[] | undefined;
  /** Whether children may import any local module. */
  canRead: boolean;
  /** The arguments of this program, which children have too. */
  args: string[];
  /** The main module of this program. */
  mainModule: string | undefined;
  env: { [name: string]: string } | undefined;
  cwd: string | undefined;
}

/** The arguments for a child that may import the modules, besides what it may import by its permissions. */
export function childArguments({ child, flags, imports, args }: Launch, modules: readonly string[]): string[] {
  return [
    "run",
    "--quiet",
    "--no-check",
    "--no-prompt",
    ...flags,
    ...importFlags(imports, modules),
    mainModuleOf(child, modules.filter((url) => !isRemote(url))),
    ...args,
  ];
}

/**
 * Starts the process of a child.
 *
 * @throws It cannot be started.
 */
export function startProcess(launch: Launch, args: string[]): Deno.ChildProcess {
  return new Deno.Command(launch.deno, optionsOf(launch, args)).spawn();
}

/** How the first child is started: before the broker is loaded, and without anything of this module. */
export interface FirstLaunch {
  type: "first";
  command: string;
  options: Deno.CommandOptions;
}

/** The same for who knows no task yet; `undefined` where the arguments depend on the modules of the tasks. */
export function firstLaunch(launch: Launch): FirstLaunch | undefined {
  if (!canImportAll(launch)) return undefined;
  return { type: "first", command: launch.deno, options: optionsOf(launch, childArguments(launch, [])) };
}

function optionsOf({ cwd, env }: Launch, args: string[]): Deno.CommandOptions {
  return { args, cwd, env, stdin: "piped", stdout: "piped", stderr: "piped" };
}

/** Whether children may import any module by their permissions. */
export function canImportAll({ canRead, imports }: Launch): boolean {
  return canRead && imports === undefined;
}

/** Whether every child may import a module, whatever it was started with. */
export function isFree({ canRead, imports }: Launch, url: string): boolean {
  // Any child may import what a data: URL holds, but not what that imports.
  if (url.startsWith("data:") && url.length > MAX_MAIN_MODULE / 2) return true;
  return isRemote(url) ? imports === undefined : canRead;
}

function isRemote(url: string): boolean {
  return /^(https?|jsr):/.test(url);
}

/**
 * How many characters a main module has at the most: Linux takes 131,072 bytes as one argument, Windows 32,767
 * characters as a command line, and other arguments may follow.
 */
const MAX_MAIN_MODULE = Deno.build.os === "windows" ? 24_000 : 120_000;

/** As many of the modules that a child shall be able to import as fit into its main module: the first ones. */
export function fitting(modules: Iterable<string>): string[] {
  const fitting: string[] = [];
  let left = MAX_MAIN_MODULE;
  for (const url of modules) {
    left -= encoded(importOf(url)).length;
    if (left < 0 && fitting.length > 0) break;
    fitting.push(url);
  }
  return fitting;
}

/**
 * The main module of a child, as a URL. The modules that its tasks come from are written out in it: what a main module
 * names needs no permission to be loaded. They are imported when the first task wants them.
 */
function mainModuleOf(child: string, modules: readonly string[]): string {
  const imports = modules.map(importOf);
  return `${MAIN_MODULE}${encoded(`${JSON.stringify(child)};\nawait serve({\n${imports.join("")}});\n`)}`;
}

/** How a main module begins. */
const MAIN_MODULE = `data:application/javascript,${encoded("import { serve } from ")}`;

/** A text as it stands in a `data:` URL, where as few characters as possible are encoded. */
function encoded(text: string): string {
  return text.replace(/[^!"$&-~]+/g, encodeURIComponent);
}

function importOf(url: string): string {
  return `${JSON.stringify(url)}: () => import(${JSON.stringify(url)}),\n`;
}

/**
 * The executable that runs children.
 *
 * @param deno The option of that name.
 * @throws {TypeError} It is no path.
 * @throws {Deno.errors.NotSupported} It would be this program.
 */
export function executableOf(deno: unknown): string {
  // This program was started in place of Deno. Whatever it is called, it would start itself again and again.
  if (Deno.args.some((arg) => arg.startsWith(MAIN_MODULE))) {
    throw new Deno.errors.NotSupported(
      "Cannot start processes, because a pool started this program in place of Deno. " +
        "To fix it, name Deno's executable with the option deno",
    );
  }
  if (deno === undefined) {
    if (Deno.build.standalone) {
      throw new Deno.errors.NotSupported(
        "Cannot start processes from a compiled program, because its executable is the program and not Deno. " +
          'To fix it, name Deno\'s executable with the option deno, as in { deno: "/usr/bin/deno" }',
      );
    }
    // Linux adds this to the path of an executable that was replaced while it runs, as by `deno upgrade`. The new one
    // has the path itself.
    return Deno.execPath().replace(/ \(deleted\)$/, "");
  }
  const path = deno instanceof URL && deno.protocol === "file:" ? pathOf(deno) : deno;
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new TypeError(`The option deno must be a path or a file: URL: ${inspect(deno)}`);
  }
  return isPath(path) ? absolutePath(path) : path;
}
