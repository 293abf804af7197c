/**
 * JSON text, whatever a program has added to its arrays and objects.
 *
 * @module
 */

// Kept, because tasks run in the same realm and may replace it.
const { stringify } = JSON;

/** Whether `JSON.stringify` would write something else for arrays or objects than what they hold. */
export function hasInheritedToJson(): boolean {
  return "toJSON" in Array.prototype;
}

/** The JSON text of lists, records, texts, finite numbers, booleans and `null`; of no class. */
export function jsonOf(value: unknown): string {
  return hasInheritedToJson() ? written(value) : stringify(value);
}

function written(value: unknown): string {
  if (typeof value !== "object" || value === null) return stringify(value);
  if (Array.isArray(value)) {
    let text = "";
    for (let i = 0; i < value.length; i++) text += `${i === 0 ? "" : ","}${written(value[i])}`;
    return `[${text}]`;
  }
  let text = "";
  for (const [key, inner] of Object.entries(value)) {
    if (inner !== undefined) text += `${text === "" ? "" : ","}${stringify(key)}:${written(inner)}`;
  }
  return `{${text}}`;
}
