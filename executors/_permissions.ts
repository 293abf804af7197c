/**
 * What children are permitted: never more than this program is.
 *
 * @module
 */

import { inspect } from "../futures/deadline.ts";
import { pathOf } from "./_launch.ts";

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

/**
 * The arguments that give a child its permissions.
 *
 * @throws {TypeError} The option is none of the things that it may be.
 * @throws {Deno.errors.NotCapable} It names something that this program may not do itself.
 */
export function permissionFlags(permissions: Permissions): string[] {
  if (permissions === "none") return [];
  if (permissions === "inherit") {
    const held = NAMES.filter((name) => isHeld(name));
    return held.length === NAMES.length ? ["--allow-all"] : held.map((name) => `--allow-${name}`);
  }
  if (typeof permissions !== "object" || permissions === null) {
    throw new TypeError(`Cannot use permissions, wanted "inherit", "none" or an object: ${inspect(permissions)}`);
  }
  const flags: string[] = [];
  for (const [name, value] of Object.entries(permissions)) {
    if (!Object.hasOwn(DETAILS, name)) {
      throw new TypeError(`Cannot use permissions, the names are ${NAMES.join(", ")}: ${inspect(name)}`);
    }
    const flag = flagOf(name as Name, value);
    if (flag !== undefined) flags.push(flag);
  }
  return flags;
}

function flagOf(name: Name, value: unknown): string | undefined {
  switch (value) {
    case undefined:
    case false:
      return undefined;
    case "inherit":
      return isHeld(name) ? `--allow-${name}` : undefined;
    case true:
      assertHeld(name);
      return `--allow-${name}`;
  }
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string" || item instanceof URL)) {
    throw new TypeError(
      `Cannot use permissions.${name}, wanted a boolean, "inherit" or a list of texts: ${inspect(value)}`,
    );
  }
  const items = value.map((item) => textOf(name, item));
  for (const item of items) assertHeld(name, item);
  return items.length === 0 ? undefined : `--allow-${name}=${items.join(",")}`;
}

/** An item as the command line has it. Paths are made absolute: the child may have another working directory. */
function textOf(name: Name, item: string | URL): string {
  const text = item instanceof URL ? pathOf(item) : item;
  // Deno's command line has no way to write a comma in a value.
  if (text === "" || text.includes(",") || (!isPath(name, text) && /[\s=]/.test(text))) {
    throw new TypeError(
      `Cannot use permissions.${name}, wanted values that are not empty and have no comma: ${inspect(item)}`,
    );
  }
  if (!isPath(name, text) || /^([/\\]|[A-Za-z]:[/\\])/.test(text)) return text;
  const escaped = text.replace(/[%?#]/g, encodeURIComponent);
  return pathOf(new URL(escaped, `file://${Deno.cwd()}/`));
}

/** Whether an item is a path: of `run` those that name more than a program. */
function isPath(name: Name, text: string): boolean {
  return DETAILS[name] === "path" || (name === "run" && /[/\\]/.test(text));
}

/** Whether this program holds a permission, or a part of it, in full. */
function isHeld(name: Name, item?: string): boolean {
  const descriptor = item === undefined ? { name } : { name, [DETAILS[name]]: item };
  // In part: with exceptions, which a child would not have, as nobody tells them.
  const { state, partial } = Deno.permissions.querySync(descriptor as unknown as Deno.PermissionDescriptor);
  return state === "granted" && !partial;
}

function assertHeld(name: Name, item?: string): void {
  if (isHeld(name, item)) return;
  const what = item === undefined ? `--allow-${name}` : `--allow-${name}=${item}`;
  throw new Deno.errors.NotCapable(
    `Cannot permit a child what this program may not do itself, in full: run again with ${what}`,
  );
}

/** Whether flags allow to import any local module. */
export function canReadAll(flags: readonly string[]): boolean {
  return flags.includes("--allow-all") || flags.includes("--allow-read");
}
