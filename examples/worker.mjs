/** A Cloudflare Worker that mails each posted text; MAIL_HOST and MAIL_PORT are its bindings. */
import { SMTP } from "smtplib";
import { connect } from "smtplib/transports/workers";

export default {
  async fetch(request, { MAIL_HOST, MAIL_PORT }) {
    const text = await request.text();
    const smtp = await SMTP.connect(MAIL_HOST, MAIL_PORT, { transport: connect, local_hostname: "worker.example.com" });
    try {
      await smtp.starttls();
      await smtp.sendmail("form@example.com", "ada@example.com", `Subject: Posted\n\n${text}\n`);
    } finally {
      await smtp.quit();
    }
    return new Response("Thank you!", { status: 202 });
  },
};
