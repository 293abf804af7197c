export * from "../../drivers/tasks.mjs";
