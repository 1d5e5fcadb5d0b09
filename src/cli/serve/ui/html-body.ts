/** The HTML of a message, to be shown in a frame that runs nothing and asks for nothing. */
import type { Attachment, ReadMail } from "./mime.ts";

/** The policy of the frame: no script, and nothing from elsewhere; pictures are those of the message itself. */
export const BODY_POLICY =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'";

/** The HTML, with the pictures that it names by "cid:" put in. */
export function htmlBody({ attachments, html }: ReadMail): string {
  return (html ?? "").replace(/\bcid:([^"'\s)>]+)/gi, (whole, id: string) => {
    const found = attachments.find(({ contentId }) => contentId === decoded(id));
    return found === undefined || !found.type.startsWith("image/") ? whole : dataUrl(found);
  });
}

function dataUrl({ content, type }: Attachment): string {
  let octets = "";
  for (const octet of content) octets += String.fromCharCode(octet);
  const safe = type.replace(/[^\w/+.-]/g, "");
  return `data:${safe};base64,${btoa(octets)}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
