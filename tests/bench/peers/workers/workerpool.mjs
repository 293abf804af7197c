import workerpool from "workerpool";
import * as tasks from "../../drivers/tasks.mjs";

workerpool.worker({ ...tasks, move: (value) => new workerpool.Transfer(value, [value.buffer ?? value]) });
