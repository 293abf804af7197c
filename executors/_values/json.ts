/**
 * JSON text that says what arrays and objects hold, also where a program has given all of them a `toJSON()`.
 *
 * @module
 */

import { JSON } from "../../futures/builtins.ts";

/** Whether `JSON.stringify` writes something else for arrays, and maybe for objects, than what they hold. */
export function hasInheritedToJson(): boolean {
  return "toJSON" in Array.prototype;
}

/** The JSON text of lists, records, texts, finite numbers, booleans and `null`, but not of instances of classes. */
export function jsonOf(value: unknown): string {
  return hasInheritedToJson() ? written(value) : JSON.stringify(value);
}

function written(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) {
    let text = "";
    for (let i = 0; i < value.length; i++) text += `${i === 0 ? "" : ","}${written(value[i])}`;
    return `[${text}]`;
  }
  let text = "";
  for (const [key, inner] of Object.entries(value)) {
    if (inner !== undefined) text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${written(inner)}`;
  }
  return `{${text}}`;
}
