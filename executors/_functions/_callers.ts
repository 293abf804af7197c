/**
 * The modules of this program, as far as they are known without waiting: which of them call, and what their texts say.
 *
 * @module
 */

import { isAbsolute } from "./file_paths.ts";
import { type Outline, outline } from "./_outline.ts";
import { isOwn } from "../../futures/own_modules.ts";

/** A place in a module's text. */
export class Place {
  readonly url: string;
  readonly #frame: Frame;

  constructor(url: string, frame: Frame) {
    this.url = url;
    this.#frame = frame;
  }

  /** Its line and its column, counted from 1. Deno looks them up for each call of this, which takes time. */
  get position(): [line: number, column: number] {
    return [this.#frame.getLineNumber() ?? 0, this.#frame.getColumnNumber() ?? 0];
  }
}

interface Frame {
  getFileName(): string | null;
  getScriptNameOrSourceURL(): string | null;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
}

/** The places on the call stack, one for each module, the nearest first, without this library's own. */
export function callers(): Place[] {
  const { prepareStackTrace, stackTraceLimit } = Error as unknown as {
    prepareStackTrace: unknown;
    stackTraceLimit: number;
  };
  const places: Place[] = [];
  try {
    Object.assign(Error, {
      stackTraceLimit: 50,
      prepareStackTrace(_: unknown, frames: Frame[]) {
        for (const frame of frames) {
          const url = moduleUrl(frame.getFileName() ?? "", frame.getScriptNameOrSourceURL() ?? "");
          if (url === NO_MODULE || places.some((place) => place.url === url)) continue;
          places.push(new Place(url, frame));
        }
        return "";
      },
    });
    // To read the stack calls prepareStackTrace().
    void new Error().stack;
  } finally {
    Object.assign(Error, { stackTraceLimit, prepareStackTrace });
  }
  return places;
}

const NO_MODULE = "";
const urlsOfFiles = new Map<string, string>();

/** The URL of the module that a frame names; none where that is this library's or a part of Deno. */
function moduleUrl(file: string, script: string): string {
  const key = `${file}\n${script}`;
  let url = urlsOfFiles.get(key);
  if (url === undefined) {
    url = toUrl(file) ?? NO_MODULE;
    // The file of a local module is without its query and hash. The script's name has them, but the text may choose it.
    if (URL.parse(script)?.href.replace(/[?#].*$/, "") === url) url = new URL(script).href;
    if (isOwn(url) || !/^(file|https?|data|blob):/.test(url)) {
      url = NO_MODULE;
    }
    urlsOfFiles.set(key, url);
  }
  return url;
}

function toUrl(file: string): string | undefined {
  // Frames of local modules name a path, on Windows with a drive's letter, which would pass for a scheme.
  if (isAbsolute(file)) {
    const url = new URL("file:///");
    url.pathname = file.replaceAll("\\", "/").replaceAll("%", "%25");
    return url.href;
  }
  return URL.parse(file)?.href;
}

let main: string | undefined;

/** The main module; `undefined` where the program may not know which that is. */
export function mainModule(): string | undefined {
  try {
    return main ??= Deno.mainModule;
  } catch {
    // The program may not read it, so no worker could import it.
    return undefined;
  }
}

/** A module's text, and what it says. */
interface Read {
  readonly text: string;
  readonly outline: Outline;
}

const reads = new Map<string, Read | undefined>();

/** Reads a module; `undefined` where its text takes waiting, or is no code. */
export function readModule(url: string): Read | undefined {
  if (!reads.has(url)) {
    const text = readText(url);
    reads.set(url, text === undefined ? undefined : { text, outline: outline(text) });
  }
  return reads.get(url);
}

/** What a module's text says. */
export function outlineOf(url: string): Outline | undefined {
  return readModule(url)?.outline;
}

function readText(href: string): string | undefined {
  const url = new URL(href);
  try {
    if (url.protocol === "data:") return readData(href);
    if (url.protocol !== "file:" || !/\.[cm]?[jt]sx?$|\/[^./]*$/.test(url.pathname) || isUnreadable(href)) {
      return undefined;
    }
    return Deno.readTextFileSync(url);
  } catch {
    return undefined;
  }
}

function readData(url: string): string {
  const [head] = url.split(",", 1);
  const data = decodeURIComponent(url.slice(head.length + 1).replace(/#.*$/, ""));
  if (!head.endsWith(";base64")) return data;
  return new TextDecoder().decode(Uint8Array.from(atob(data), (character) => character.charCodeAt(0)));
}

/**
 * Whether this program may not read a local module. Asked first, because reading without the permission would prompt.
 */
export function isUnreadable(url: string): boolean {
  if (!url.startsWith("file:")) return false;
  return Deno.permissions.querySync({ name: "read", path: new URL(url) }).state !== "granted";
}
