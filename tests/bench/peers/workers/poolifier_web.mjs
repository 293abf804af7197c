import { ThreadWorker } from "poolifier-web-worker";
import * as tasks from "../../drivers/tasks.mjs";

export default new ThreadWorker({ ...tasks });
