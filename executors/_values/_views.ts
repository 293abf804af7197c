/**
 * Views of buffers: which classes there are, and what a view does when its buffer grows or shrinks.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";

// Kept by name, because tasks run in the same realm and may replace them, and because what comes from a process must
// not choose among all globals.
const VIEW_CLASSES = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float16Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
};

/** The names of the classes of views, by their prototypes. */
export const VIEWS: ReadonlyMap<object, string> = new Map(
  Object.entries(VIEW_CLASSES).map(([name, { prototype }]) => [prototype, name]),
);

/** The class of views of that name. */
export function viewNamed(name: string): new (buffer: ArrayBufferLike, at?: number, length?: number) => unknown {
  if (!Object.hasOwn(VIEW_CLASSES, name)) throw new TypeError(`Cannot read as a view of a buffer: ${inspect(name)}`);
  return VIEW_CLASSES[name as keyof typeof VIEW_CLASSES] as ReturnType<typeof viewNamed>;
}

const { at } = Object.getPrototypeOf(Uint8Array.prototype);

/** Whether the buffer of a view has shrunk so that the view shows nothing any more, or is gone. */
export function isOutOfBounds(view: ArrayBufferView): boolean {
  try {
    // Both throw then, and only then.
    if (view instanceof DataView) void view.byteLength;
    else at.call(view, 0);
    return false;
  } catch {
    return true;
  }
}

/** The number of a view's elements, or bytes. */
export function lengthOf(view: ArrayBufferView): number {
  return view instanceof DataView ? view.byteLength : (view as unknown as { length: number }).length;
}

/**
 * Whether a view becomes longer as its buffer, which is resizable, does. Nothing tells that but another size of the
 * buffer, so a copy is given one.
 */
export function isTracking(view: ArrayBufferView): boolean {
  const { byteLength, maxByteLength } = view.buffer as ArrayBuffer;
  if (view.byteOffset + view.byteLength + 8 <= byteLength) return false;
  const copy = structuredClone(view);
  const buffer = copy.buffer as ArrayBuffer;
  if (byteLength < maxByteLength) {
    buffer.resize(maxByteLength);
    // Less than an element more does not show.
    if (copy.byteLength !== view.byteLength) return true;
  }
  if (view.byteLength === 0) return false;
  buffer.resize(view.byteOffset + view.byteLength - 1);
  return !isOutOfBounds(copy);
}
