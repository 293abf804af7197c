/**
 * Which exports of modules on other hosts a function can be. This looks at their texts, before any of them is run. It
 * is loaded only where a program has such modules.
 *
 * @module
 */

import { findByName } from "./_exports.ts";
import { type Outline, outline } from "./_outline.ts";
import type { Import } from "./resolve.ts";
import type { TaskLocation } from "../task_ref.ts";

/** The exports of modules that may be the function of a name, by their texts. */
export async function readExports(name: string, urls: readonly string[], load: Import): Promise<TaskLocation[]> {
  const outlines = new Map<string, Outline | undefined>();
  for (;;) {
    const wanted = new Set<string>();
    const found = urls.flatMap((url) =>
      findByName(url, name, (module) => {
        if (!outlines.has(module) && /^https?:/.test(module)) wanted.add(module);
        return outlines.get(module);
      })
    );
    if (wanted.size === 0) return found;
    for (const url of wanted) outlines.set(url, await readText(url, load));
  }
}

async function readText(url: string, load: Import): Promise<Outline | undefined> {
  try {
    const { default: text } = await load(url, { with: { type: "text" } });
    return outline(String(text));
  } catch {
    // A module that may not be read is not run either.
    return undefined;
  }
}
