"""An aiosmtpd that stores each message as it came, octet for octet, in a Maildir; the special recipients are Postfix's."""

import argparse
import asyncio
import os
import ssl
import uuid
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

parser = argparse.ArgumentParser()
for option in ("cert", "key", "maildir", "user", "password"):
    parser.add_argument(f"--{option}", required=True)
for option in ("port", "tls-port"):
    parser.add_argument(f"--{option}", type=int, required=True)
args = parser.parse_args()


class Handler:
    """aiosmtpd's own Mailbox handler goes through email.message, which changes messages: this one does not."""

    def __init__(self):
        self.maildir = Path(args.maildir)
        for folder in ("new", "cur", "tmp"):
            (self.maildir / folder).mkdir(parents=True)

    async def handle_MAIL(self, server, session, envelope, address, options):
        if address == "spammer@client.test":
            return "550 5.7.1 no thanks"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.rpartition("@")[0]
        if local == "refused":
            return "550 5.1.1 no such user"
        if local == "later":
            return "450 4.2.0 try later"
        if local == "members" and not session.authenticated:
            return "530 5.7.0 authentication required"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        for recipient in envelope.rcpt_tos:
            name = uuid.uuid4().hex
            trace = f"Return-Path: <{envelope.mail_from}>\r\nDelivered-To: {recipient}\r\n"
            (self.maildir / "tmp" / name).write_bytes(trace.encode() + envelope.original_content)
            os.rename(self.maildir / "tmp" / name, self.maildir / "new" / name)
        return "250 2.0.0 stored"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (args.user.encode(), args.password.encode())
    return AuthResult(success=good, handled=False)


async def main():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(args.cert, args.key)
    handler = Handler()
    loop = asyncio.get_running_loop()

    def session(starttls):
        return SMTP(
            handler,
            hostname="localhost",
            enable_SMTPUTF8=True,
            tls_context=starttls,
            authenticator=authenticate,
            auth_require_tls=False,
        )

    await loop.create_server(lambda: session(None), "127.0.0.1", args.tls_port, ssl=tls)
    server = await loop.create_server(lambda: session(tls), "127.0.0.1", args.port)
    await server.serve_forever()


asyncio.run(main())
