/** Calls the modules what they are imported from: `src/core` is `smtplib/core`. */
import { Converter, ReflectionKind } from "typedoc";

export function load({ converter }) {
  converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.getReflectionsByKind(ReflectionKind.Module)) {
      module.name = module.name.replace(/^src(?=\/|$)/, "smtplib").replace(/^(?=transports\/)/, "smtplib/");
    }
  });
}
