import { Tinypool } from "tinypool";

export * from "../../drivers/tasks.mjs";

export function move(value) {
  return Tinypool.move(value);
}
