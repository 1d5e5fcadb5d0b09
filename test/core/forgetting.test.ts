/** The dialogue releases answered commands: a connection may live for days and always have a message in progress. */
import { expect, test } from "vitest";
import { utf8 } from "../../src/core/bytes.ts";
import { Command } from "../../src/core/command.ts";
import { Output } from "../../src/core/output.ts";
import { collectGarbage } from "../support/garbage.ts";
import { Play } from "./play.ts";

test.skipIf(collectGarbage === undefined)(
  "a command is let go once it is answered, although another one is always awaited",
  async () => {
    const { dialogue } = Play.greeted();
    const send = (): WeakRef<Command> => {
      const command = Command.simple("RSET");
      dialogue.send(command, new Output());
      return new WeakRef(command);
    };
    const sent = [send()];
    for (let count = 0; count < 1000; count++) {
      sent.push(send());
      dialogue.receive(utf8("250 ok\r\n"));
    }
    // A dereferenced WeakRef keeps its object alive until the turn is over.
    await new Promise((resolve) => setTimeout(resolve));
    collectGarbage?.();
    expect(sent.filter((reference) => reference.deref() !== undefined).length).toBeLessThan(500);
  },
);
