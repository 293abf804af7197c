import { move as moved } from "piscina";

export * from "../../drivers/tasks.mjs";

export function move(value) {
  return moved(value);
}
