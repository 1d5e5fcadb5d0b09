/** The HTML of a message, for a frame that runs no script and loads nothing. */
import type { Attachment, ReadMail } from "./mime.ts";

/** The policy of the frame: no script, and only the pictures of the message itself. */
export const BODY_POLICY =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'";

/** The most characters that pictures add to the HTML: one may be named many times. */
const MOST_ADDED = 20_000_000;

/** The HTML with the pictures that it names by "cid:" inlined. */
export function htmlBody({ attachments, html }: ReadMail): string {
  const urls = new Map<Attachment, string>();
  let added = 0;
  return (html ?? "").replace(/\bcid:([^"'\s)>]+)/gi, (whole, id: string) => {
    const found = attachments.find(({ contentId }) => contentId === decoded(id));
    if (found === undefined || !found.type.startsWith("image/")) return whole;
    const url = urls.get(found) ?? dataUrl(found);
    urls.set(found, url);
    added += url.length;
    return added > MOST_ADDED ? whole : url;
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
