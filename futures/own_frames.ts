/**
 * The frames of this library in the stacks of errors: those who look for the cause of an error look for their own code.
 *
 * @module
 */

import { isBundled, OWN_FOLDERS } from "./own_modules.ts";

/** How a frame names a module: as its URL, or, where that is escaped, as it is without the escapes. */
const OWN_PREFIXES = isBundled ? [] : [...new Set(OWN_FOLDERS.flatMap((folder) => [folder, unescaped(folder)]))];

function unescaped(url: string): string {
  try {
    return decodeURIComponent(url);
  } catch {
    return url;
  }
}

/** A frame, by whose code it is: the library's, Deno's or the engine's, or the user's. */
type Whose = "library" | "runtime" | "user";

const FRAME = /^\s+at /;

/** A frame of a function that was sent as its text; the first place is that of this library. */
const SENT = / \(eval at [^(]* \((.*)\), (<anonymous>:\d+:\d+)\)$/;

function isOwnPlace(line: string): boolean {
  // By a hash Deno names the examples of a file's documentation, which are not the library.
  if (line.includes("#")) line = line.replaceAll(/\S+#\d+-\d+\.\S+/g, "");
  return OWN_PREFIXES.some((prefix) => line.includes(`(${prefix}`) || line.includes(` ${prefix}`));
}

function whoseFrame(line: string): Whose {
  // What stands between frames is somebody's text.
  if (!FRAME.test(line) || SENT.test(line)) return "user";
  if (isOwnPlace(line)) return "library";
  return /\(?(ext:[^\s()]+|<anonymous>|native)\)?$/.test(line) ? "runtime" : "user";
}

/**
 * Leaves out the frames of this library from the text of a stack, and those of Deno that only lead from one of them to
 * another one, or from the event loop to one.
 *
 * @param message The message of the error, which may look like frames.
 */
export function withoutOwnFrames(stack: string, message = ""): string {
  const place = stack.indexOf(message);
  const from = stack.indexOf("\n", place < 0 ? 0 : place + message.length);
  if (from < 0) return stack;
  const lines = stack.slice(from + 1).split("\n");
  const left: string[] = [];
  // Those between two frames of the user: where none of them is the library's, they stay.
  let between: [line: string, whose: Whose][] = [];
  const leaveBetween = (isEnd: boolean) => {
    const isOwn = ([, whose]: [string, Whose]) => whose === "library";
    const [first, last] = [between.findIndex(isOwn), between.findLastIndex(isOwn)];
    // What the library has called stays where it threw, and what the user has called where that led to the library.
    const kept = between.filter((_, i) => first < 0 || (i < first && left.length === 0) || (i > last && !isEnd));
    left.push(...kept.map(([line]) => line));
    between = [];
  };
  for (const line of lines) {
    const whose = whoseFrame(line);
    if (whose !== "user") {
      between.push([line, whose]);
      continue;
    }
    leaveBetween(false);
    const sent = SENT.exec(line);
    left.push(sent !== null && isOwnPlace(`(${sent[1]}`) ? line.replace(SENT, " ($2)") : line);
  }
  leaveBetween(true);
  return [stack.slice(0, from), ...left].join("\n");
}

/** Settings of V8. A user may have changed them, or have frozen them. */
const settings = Error as unknown as { stackTraceLimit: unknown; prepareStackTrace: unknown };

/** Calls a function that makes an error, which gets so many frames at most. */
export function withFrames<T>(limit: number, call: () => T): T {
  const { stackTraceLimit } = settings;
  // No other calls: near the end of the stack, one that fails would leave the setting as it is not.
  try {
    settings.stackTraceLimit = limit;
  } catch {
    return call();
  }
  try {
    return call();
  } finally {
    settings.stackTraceLimit = stackTraceLimit;
  }
}

/**
 * Makes an error without frames, which takes a fraction of the time: the event loop, or whoever blocks, makes it for a
 * task that somebody else has submitted.
 */
export function withoutFrames<E>(make: () => E): E {
  return withFrames(0, make);
}

/** The text of the stack of an error that was just made, as Deno writes it. */
export function stackText(error: Error): string {
  const { prepareStackTrace } = settings;
  try {
    settings.prepareStackTrace = undefined;
  } catch {
    return String(error.stack);
  }
  try {
    return String(error.stack);
  } finally {
    settings.prepareStackTrace = prepareStackTrace;
  }
}
