/** The program that sends by this client. */
import { answerAll } from "./main.ts";
import { bySession } from "./smtplib.ts";

await answerAll(bySession());
