/**
 * What children may do: never more than this program.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";
import { isHostHeld } from "./_hosts.ts";
import { pathOf } from "../_functions/file_paths.ts";
import { absolutePath, isPath } from "../_owner/paths.ts";

/** Each permission, and what one of its values is called in a query. */
const DETAILS = {
  read: "path",
  write: "path",
  net: "host",
  env: "variable",
  sys: "kind",
  run: "command",
  ffi: "path",
  import: "host",
} as const;

type Name = keyof typeof DETAILS;
const NAMES = Object.keys(DETAILS) as Name[];

/** What the option `permissions` may be. */
export type Permissions = "inherit" | "none" | Deno.PermissionOptionsObject;

/** What a child is permitted. */
export interface Granted {
  /** The arguments for all but the hosts of imports. */
  flags: string[];
  /** The hosts that it may import from, besides those of the tasks' modules; `undefined`: any, as `flags` say. */
  imports: readonly string[] | undefined;
  /** Whether it may import any local module. */
  canRead: boolean;
}

/**
 * What the option `permissions` gives a child.
 *
 * @param env Environment variables that the child has besides those of this program.
 * @throws {TypeError} The option is none of the things that it may be.
 * @throws {Deno.errors.NotCapable} It names something that this program may not do itself.
 */
export function grantedBy(permissions: Permissions, env: { [name: string]: string } = {}): Granted {
  if (permissions === "none") return { flags: [], imports: [], canRead: false };
  if (permissions === "inherit") {
    const held = NAMES.filter((name) => isHeld(name));
    if (held.length === NAMES.length) return { flags: ["--allow-all"], imports: undefined, canRead: true };
    return {
      flags: held.map((name) => `--allow-${name}`),
      imports: held.includes("import") ? undefined : [],
      canRead: held.includes("read"),
    };
  }
  if (typeof permissions !== "object" || permissions === null) {
    throw new TypeError(`The option permissions must be "inherit", "none" or an object: ${inspect(permissions)}`);
  }
  const granted: Granted = { flags: [], imports: [], canRead: false };
  for (const [name, value] of Object.entries(permissions)) {
    if (!Object.hasOwn(DETAILS, name)) {
      throw new TypeError(`The option permissions can only have the names ${NAMES.join(", ")}: ${inspect(name)}`);
    }
    const items = itemsOf(name as Name, value);
    if (name === "import") granted.imports = items;
    if (name === "read") granted.canRead = items === undefined;
    if (items === undefined) granted.flags.push(`--allow-${name}`);
    else if (items.length > 0 && name !== "import") granted.flags.push(`--allow-${name}=${items.join(",")}`);
    if (name === "run") assertSamePath(items ?? [], env);
  }
  return granted;
}

/** What is granted of a permission; `undefined`: all of it. */
function itemsOf(name: Name, value: unknown): string[] | undefined {
  switch (value) {
    case undefined:
    case false:
      return [];
    case "inherit":
      return isHeld(name) ? undefined : [];
    case true:
      assertHeld(name);
      return undefined;
  }
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string" || item instanceof URL)) {
    throw new TypeError(
      `The option permissions.${name} must be a boolean, "inherit" or an array of strings: ${inspect(value)}`,
    );
  }
  const items = value.map((item) => textOf(name, item));
  for (const item of items) assertHeld(name, item);
  return items;
}

/** Another `PATH` would let the child run another program of that name. */
function assertSamePath(commands: readonly string[], env: { [name: string]: string }): void {
  if (isHeld("run") || !Object.keys(env).some((name) => name.toUpperCase() === "PATH")) return;
  const command = commands.find((command) => !isPath(command));
  if (command === undefined) return;
  throw new Deno.errors.NotCapable(
    `Cannot permit a process to run a program by its name when env has another PATH: ${inspect(command)}. ` +
      "To fix it, permit the path of the program",
  );
}

/** An item as the command line has it. Paths are made absolute: the child may have another working directory. */
function textOf(name: Name, item: string | URL): string {
  const text = item instanceof URL ? pathOf(item) : item;
  const asPath = DETAILS[name] === "path" || (name === "run" && isPath(text));
  // Deno's command line has no way to write a comma in a value.
  if (text === "" || text.includes(",") || (!asPath && /[\s=]/.test(text))) {
    throw new TypeError(
      `The option permissions.${name} must have only values that are not empty and have no ${
        asPath ? "comma" : "comma, space or ="
      }: ${inspect(item)}`,
    );
  }
  return asPath ? absolutePath(text) : text;
}

/** Whether this program holds a permission, or a part of it, without any exception. */
function isHeld(name: Name, item?: string): boolean {
  // Deno does not tell all exceptions to a part of a permission. It tells those to a whole one that is granted.
  const { state, partial } = query(name);
  if (state === "granted" && !partial) return true;
  if (item === undefined || hasHiddenParts(name, item)) return false;
  const granted = query(name, item);
  if (granted.state !== "granted" || granted.partial) return false;
  return name !== "net" && name !== "import" || isHostHeld(name, item, partial === true);
}

function query(name: Name, item?: string): { state: Deno.PermissionState | "invalid"; partial?: boolean } {
  const descriptor = item === undefined ? { name } : { name, [DETAILS[name]]: item };
  try {
    return Deno.permissions.querySync(descriptor as unknown as Deno.PermissionDescriptor);
  } catch {
    // Deno cannot read the item.
    return { state: "invalid" };
  }
}

function assertHeld(name: Name, item?: string): void {
  if (isHeld(name, item)) return;
  const what = item === undefined ? `--allow-${name}` : `--allow-${name}=${item}`;
  const hint = item !== undefined && query(name, item).state === "granted" ? HINTS[name] ?? "" : "";
  throw new Deno.errors.NotCapable(
    `Cannot permit a process what this program itself may not do in full. To fix it, run again with ${what}${hint}`,
  );
}

/** What helps where an item is granted, but may have exceptions that Deno does not tell. */
const HINTS: { readonly [name in Name]?: string } = {
  net: " and without --deny-net, or name each address with its port",
  import: " and without --deny-import, or name each host with its port",
  env: " and without --deny-env and --ignore-env, or name each variable",
};

/** Whether a part of an item could be denied without a query that would tell it. */
function hasHiddenParts(name: Name, item: string): boolean {
  switch (name) {
    case "env":
      return item.includes("*");
    case "net":
    case "import":
      return /[*/]/.test(item) && !item.startsWith("unix:");
    default:
      // Deno looks for exceptions below a path itself; the others have no parts.
      return false;
  }
}
