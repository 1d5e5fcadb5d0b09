/** The stack of a rejection of the transport's `verify()` has the functions of the calling program. */
import nodemailer from "nodemailer";
import { expect, it } from "vitest";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { FakeServer } from "../client/fake-server.ts";
import { CALLERS, callersOf } from "../support/callers.ts";

it("verify", async () => {
  const { transport } = new FakeServer({ greeting: "554 no" });
  const own = smtplib({ host: "mail.example.com", transport });
  const callers = await callersOf(() => own.verify());
  expect(callers).toEqual(CALLERS);
});

it("verify, by nodemailer", async () => {
  const { transport } = new FakeServer({ greeting: "554 no" });
  const transporter = nodemailer.createTransport(smtplib({ host: "mail.example.com", transport }));
  const callers = await callersOf(() => transporter.verify());
  expect(callers).toEqual(CALLERS);
});
