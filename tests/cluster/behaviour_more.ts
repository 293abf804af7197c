/**
 * {@linkcode ClusterExecutor}: the behaviour of every executor, as far as values, errors and maps go. `deno task test:cluster` runs it, and a job of its own in CI: to connect anew
 * for each of these tests takes a minute and more, and what they look at runs in the same modules as for processes.
 */
import { errorBehaviour } from "../behaviour/errors.ts";
import { mapBehaviour } from "../behaviour/map.ts";
import { mapOptionsBehaviour } from "../behaviour/map_options.ts";
import { refusedBehaviour } from "../behaviour/refused.ts";
import { valueBehaviour } from "../behaviour/values.ts";
import { kind } from "../fixtures/kinds/cluster.ts";
import { startForAll } from "./_behaviour.ts";

await startForAll();
valueBehaviour(kind);
refusedBehaviour(kind);
errorBehaviour(kind);
mapBehaviour(kind);
mapOptionsBehaviour(kind);
