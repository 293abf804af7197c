import { ThreadWorker } from "poolifier";
import * as tasks from "../../drivers/tasks.mjs";

export default new ThreadWorker({ ...tasks });
