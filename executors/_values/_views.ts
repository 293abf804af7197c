/**
 * Views of buffers: which classes there are, and what a view does when its buffer grows or shrinks.
 *
 * @module
 */

import { inspect } from "../../futures/inspect.ts";

// Kept, because tasks run in the same realm and may replace them; and by name, because what comes from a process must
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

/** The names of the classes of views. */
export const VIEW_NAMES: readonly string[] = Object.keys(VIEW_CLASSES);

/** The class of views of that name. */
export function viewNamed(
  name: string,
): new (buffer: ArrayBufferLike, at?: number, length?: number) => ArrayBufferView {
  if (!Object.hasOwn(VIEW_CLASSES, name)) {
    throw new TypeError(`Cannot read an unknown view of a buffer: ${inspect(name)}`);
  }
  return VIEW_CLASSES[name as keyof typeof VIEW_CLASSES] as ReturnType<typeof viewNamed>;
}

const typedArrays = Object.getPrototypeOf(Uint8Array.prototype);
const { at } = typedArrays;
const { get: tag } = Object.getOwnPropertyDescriptor(typedArrays, Symbol.toStringTag)!;

/** The name of a view's class; where a task has replaced a class, that of the one which it extends. */
export function viewNameOf(view: ArrayBufferView): string {
  // Of all views, only a DataView is no typed array.
  return VIEWS.get(Object.getPrototypeOf(view)) ?? tag!.call(view) ?? "DataView";
}

/** Whether a view shows nothing any more, because its buffer has shrunk or is gone. */
export function isOutOfBounds(view: ArrayBufferView): boolean {
  try {
    // In this case, and only then, both throw.
    if (view instanceof DataView) void view.byteLength;
    else at.call(view, 0);
    return false;
  } catch {
    return true;
  }
}

/** The number of a view's elements; of a DataView, that of its bytes. */
export function lengthOf(view: ArrayBufferView): number {
  return view instanceof DataView ? view.byteLength : (view as unknown as { length: number }).length;
}

/**
 * Whether a view becomes longer as its buffer, which is resizable, does. Only a change of the buffer's size tells that,
 * so this changes that of a copy.
 */
export function isTracking(view: ArrayBufferView): boolean {
  const { byteLength, maxByteLength } = view.buffer as ArrayBuffer;
  if (view.byteOffset + view.byteLength + 8 <= byteLength) return false;
  const copy = structuredClone(view);
  const buffer = copy.buffer as ArrayBuffer;
  if (byteLength < maxByteLength) {
    buffer.resize(maxByteLength);
    // Where less than an element was added, the view would be as long as before.
    if (copy.byteLength !== view.byteLength) return true;
  }
  if (view.byteLength === 0) return false;
  buffer.resize(view.byteOffset + view.byteLength - 1);
  return !isOutOfBounds(copy);
}
