/**
 * Mail after a login with a bearer token, as Google and Microsoft require it. A command prints the token on demand:
 * TOKEN_COMMAND="gcloud auth print-access-token" node examples/token.mjs smtp.gmail.com 587 ada@example.com
 */
import { exec } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { SMTP, SMTPAuthenticationError } from "smtplib";
import { oauthbearer, xoauth2 } from "smtplib/sasl";

const [host = "localhost", port = "587", user = "ada@example.com"] = process.argv.slice(2);
const { TOKEN_COMMAND: command = "", NODE_EXTRA_CA_CERTS: file } = process.env;
const ca = file === undefined ? undefined : readFileSync(file, "utf8");

async function token() {
  const { stdout } = await promisify(exec)(command);
  return stdout.trim();
}

const smtp = await SMTP.connect(host, Number(port));
try {
  await smtp.starttls({ ca });
  await smtp.ehlo();
  const standard = smtp.esmtp_features["auth"]?.split(" ").includes("OAUTHBEARER");
  const mechanism = standard ? oauthbearer({ user, token }) : xoauth2({ user, token });
  await smtp.auth(mechanism.name, mechanism);
  await smtp.sendmail(user, "charles@example.net", "Subject: By token\n\nHello!\n");
  console.log(`sent after ${mechanism.name}`);
} catch (error) {
  if (!(error instanceof SMTPAuthenticationError)) throw error;
  console.error(`refused: ${error.message}`, error.serverError ?? "");
  process.exitCode = 1;
} finally {
  await smtp.quit();
}
