/**
 * The `AsyncLocalStorage` context of a call. Calls wait for each other and share a connection, so the caller's
 * functions would otherwise run in the context of another call, with the wrong request or trace.
 */
import { builtinModule } from "./builtin-module.ts";

/** Runs a function in the context in which this object was made. */
export type InContext = <Result>(work: () => Result) => Result;

type AsyncHooks = {
  readonly AsyncResource?: new (type: string) => { runInAsyncScope<Result>(work: () => Result): Result };
};

const asIs: InContext = (work) => work();

let current: (() => InContext) | undefined;

/** Captures the current context. Has no effect if the runtime has no such contexts. */
export function callerContext(): InContext {
  current ??= find();
  return current();
}

function find(): () => InContext {
  const hooks = builtinModule<AsyncHooks>("async_hooks");
  if (hooks?.AsyncResource === undefined) return () => asIs;
  const { AsyncResource } = hooks;
  // AsyncLocalStorage.snapshot() does the same with ten times the memory.
  return () => {
    const resource = new AsyncResource("smtplib.call");
    return (work) => resource.runInAsyncScope(work);
  };
}
