/**
 * What children are permitted: never more than this program is.
 *
 * @module
 */

import { inspect } from "../futures/deadline.ts";

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
    if (!(name in DETAILS)) {
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
  for (const item of value) assertHeld(name, item);
  // A comma inside of a value is written twice.
  return value.length === 0
    ? undefined
    : `--allow-${name}=${value.map((item) => pathOf(item).replaceAll(",", ",,")).join(",")}`;
}

function pathOf(item: string | URL): string {
  if (!(item instanceof URL)) return item;
  return decodeURIComponent(item.pathname).replace(/^\/([A-Za-z]:)/, "$1");
}

/** Whether this program holds a permission, or a part of it, in full. */
function isHeld(name: Name, item?: string | URL): boolean {
  const descriptor = item === undefined ? { name } : { name, [DETAILS[name]]: item };
  // In part: with exceptions, which a child would not have, as nobody tells them.
  const { state, partial } = Deno.permissions.querySync(descriptor as unknown as Deno.PermissionDescriptor);
  return state === "granted" && !partial;
}

function assertHeld(name: Name, item?: string | URL): void {
  if (isHeld(name, item)) return;
  const what = item === undefined ? `--allow-${name}` : `--allow-${name}=${pathOf(item)}`;
  throw new Deno.errors.NotCapable(
    `Cannot permit a child what this program may not do itself, in full: run again with ${what}`,
  );
}

/** Whether flags allow to import any local module. */
export function canReadAll(flags: readonly string[]): boolean {
  return flags.includes("--allow-all") || flags.includes("--allow-read");
}
