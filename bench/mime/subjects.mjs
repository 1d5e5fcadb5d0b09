/** The MIME builders: each makes the same message, as its documentation shows. */
import { Message } from "emailjs";
import { createMimeMessage } from "mimetext";
import MailComposer from "nodemailer/lib/mail-composer/index.js";

/** The message: text and HTML with a long line, a subject beyond ASCII, an attachment. */
export const content = {
  from: { name: "Ada", address: "ada@example.com" },
  to: { name: "Jürgen Größe", address: "juergen@example.net" },
  subject: "Grüße aus Köln – die Tabelle, nach der Sie gefragt haben, und noch eine zweite dazu",
  text: `Grüße!\r\n.a line that begins with a dot\r\n${"x".repeat(4000)}\r\n`,
  html: `<p>Grüße!</p><p>${"x".repeat(4000)}</p>`,
};

/** Name -> the message with an attachment of these bytes, as text or bytes. */
export const subjects = {
  async "nodemailer's MailComposer"(bytes) {
    const { from, to, subject, text, html } = content;
    const attachments = [{ filename: "täble.csv", content: bytes }];
    return new MailComposer({ from, to, subject, text, html, attachments }).compile().build();
  },
  async mimetext(bytes) {
    const message = createMimeMessage();
    message.setSender({ name: content.from.name, addr: content.from.address });
    message.setRecipient({ name: content.to.name, addr: content.to.address });
    message.setSubject(content.subject);
    message.addMessage({ contentType: "text/plain", data: content.text });
    message.addMessage({ contentType: "text/html", data: content.html });
    const data = Buffer.from(bytes).toString("base64");
    message.addAttachment({ filename: "täble.csv", contentType: "text/csv", data });
    return message.asRaw();
  },
  async "emailjs' Message"(bytes) {
    const { from, to, subject, text, html } = content;
    const message = new Message({
      from: `${from.name} <${from.address}>`,
      to: `${to.name} <${to.address}>`,
      subject,
      text,
      attachment: [
        { data: html, alternative: true },
        { data: Buffer.from(bytes).toString("base64"), encoded: true, type: "text/csv", name: "täble.csv" },
      ],
    });
    return message.readAsync();
  },
};
