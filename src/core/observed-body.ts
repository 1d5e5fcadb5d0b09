/** A message's body that learns about its transaction: for the plug-ins, whose results report on it. */
import type { Server } from "./plan.ts";

/** A body that is told when its transaction begins. */
export abstract class ObservedBody {
  /** The envelope is about to be sent to this server; called again where a message is sent again. */
  abstract begins(server: Server): void;
}
