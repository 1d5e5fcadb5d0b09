/**
 * The `AsyncLocalStorage` context of a call. Calls wait for each other and share a connection, so that the caller's own
 * functions would run in the context of another call, whose request or trace has nothing to do with them.
 */
import { builtinModule } from "./builtin-module.ts";

/** Runs a function in the context that was current when this was made. */
export type InContext = <Result>(work: () => Result) => Result;

type AsyncHooks = {
  readonly AsyncResource?: new (type: string) => { runInAsyncScope<Result>(work: () => Result): Result };
};

const asIs: InContext = (work) => work();

let current: (() => InContext) | undefined;

/** The context that is current now. Where the runtime has no such contexts, nothing changes. */
export function callerContext(): InContext {
  current ??= find();
  return current();
}

function find(): () => InContext {
  const hooks = builtinModule<AsyncHooks>("async_hooks");
  if (hooks?.AsyncResource === undefined) return () => asIs;
  const { AsyncResource } = hooks;
  // AsyncLocalStorage.snapshot() does the same, and takes ten times the memory.
  return () => {
    const resource = new AsyncResource("smtplib.call");
    return (work) => resource.runInAsyncScope(work);
  };
}
