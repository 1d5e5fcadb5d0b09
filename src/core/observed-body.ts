/** A message's body that is notified of its transaction: for the plug-ins, whose results report on it. */
import type { Server } from "./plan.ts";

/** A body that is notified when its transaction begins. */
export abstract class ObservedBody {
  /** Called before the envelope is sent to this server, and again if the message is sent again. */
  abstract begins(server: Server): void;
}
