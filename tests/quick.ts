/**
 * The behaviour that most changes touch, on the executor that starts soonest: for `deno task test:quick`. The whole of
 * it, on every kind of executor, is in the folders of these.
 */
import { lendPools } from "./behaviour/borrow.ts";
import { cancelBehaviour } from "./behaviour/cancel.ts";
import { errorBehaviour } from "./behaviour/errors.ts";
import { exitBehaviour } from "./behaviour/exits.ts";
import { lookupBehaviour } from "./behaviour/lookup.ts";
import { mapBehaviour } from "./behaviour/map.ts";
import { mapEndBehaviour } from "./behaviour/map_end.ts";
import { mapOptionsBehaviour } from "./behaviour/map_options.ts";
import { shutdownBehaviour } from "./behaviour/shutdown.ts";
import { submitBehaviour } from "./behaviour/submit.ts";
import { waitingBehaviour } from "./behaviour/waiting.ts";
import { kind } from "./fixtures/kinds/thread_pool.ts";

lendPools(kind);
submitBehaviour(kind);
cancelBehaviour(kind);
waitingBehaviour(kind);
errorBehaviour(kind);
lookupBehaviour(kind);
mapBehaviour(kind);
mapEndBehaviour(kind);
mapOptionsBehaviour(kind);
exitBehaviour(kind);
shutdownBehaviour(kind);
