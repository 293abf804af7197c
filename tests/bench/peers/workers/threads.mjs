import { Transfer } from "threads";
import { expose } from "threads/worker";
import * as tasks from "../../drivers/tasks.mjs";

expose({ ...tasks, move: (value) => Transfer(value, [value.buffer ?? value]) });
