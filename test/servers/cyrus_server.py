"""SCRAM with channel binding by Cyrus SASL, which no mail server in Debian passes a channel binding to: aiosmtpd does here.

The binding is tls-server-end-point (RFC 5929); Python's ssl exports no keying material.
"""

import argparse
import asyncio
import ctypes
import hashlib
import ssl
from base64 import b64decode
from pathlib import Path

from aiosmtpd.smtp import MISSING, SMTP, AuthResult

parser = argparse.ArgumentParser()
for option in ("cert", "key"):
    parser.add_argument(f"--{option}", required=True)
for option in ("port", "tls-port"):
    parser.add_argument(f"--{option}", type=int, required=True)
args = parser.parse_args()

SASL_OK, SASL_CONTINUE = 0, 1
SASL_CHANNEL_BINDING = 21


class ChannelBinding(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("critical", ctypes.c_int),
        ("len", ctypes.c_ulong),
        ("data", ctypes.c_char_p),
    )


sasl = ctypes.CDLL("libsasl2.so.2")
if sasl.sasl_server_init(None, b"smtpd") != SASL_OK:
    raise SystemExit("Cyrus SASL does not start")

# The certificate is signed with ECDSA and SHA-256.
digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(args.cert).read_text())).digest()
binding = ChannelBinding(b"tls-server-end-point", 0, len(digest), digest)


class Exchange:
    """One connection of Cyrus SASL's."""

    def __init__(self):
        self.connection = ctypes.c_void_p()
        made = sasl.sasl_server_new(b"smtp", b"localhost", None, None, None, None, 0, ctypes.byref(self.connection))
        assert made == SASL_OK
        assert sasl.sasl_setprop(self.connection, SASL_CHANNEL_BINDING, ctypes.byref(binding)) == SASL_OK

    def step(self, call, *words):
        out, length = ctypes.c_void_p(), ctypes.c_uint()
        *before, said = words
        result = call(self.connection, *before, said, len(said), ctypes.byref(out), ctypes.byref(length))
        return result, ctypes.string_at(out, length.value) if out else b""

    def close(self):
        sasl.sasl_dispose(ctypes.byref(self.connection))


async def authenticate(server, mechanism, words):
    exchange = Exchange()
    try:
        said = b64decode(words[1]) if len(words) > 1 else await server.challenge_auth(b"")
        if said is MISSING:
            return AuthResult(success=False)
        result, answer = exchange.step(sasl.sasl_server_start, mechanism.encode(), said)
        while result == SASL_CONTINUE:
            said = await server.challenge_auth(answer)
            if said is MISSING:
                return AuthResult(success=False)
            result, answer = exchange.step(sasl.sasl_server_step, said)
        return AuthResult(success=result == SASL_OK, handled=False, auth_data=mechanism)
    finally:
        exchange.close()


class Handler:
    """Takes what members send, and forgets it."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if not session.authenticated:
            return "530 5.7.0 authentication required"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        return f"250 2.0.0 taken after {session.auth_data}"


def offer(mechanism):
    async def method(self, server, words):
        return await authenticate(server, mechanism, words)

    setattr(Handler, f"auth_{mechanism.replace('-', '__')}", method)


for hash_name in ("SHA-1", "SHA-256", "SHA-512"):
    offer(f"SCRAM-{hash_name}")
    offer(f"SCRAM-{hash_name}-PLUS")


async def main():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(args.cert, args.key)
    loop = asyncio.get_running_loop()

    def session(starttls):
        excluded = ["LOGIN", "PLAIN"]
        return SMTP(
            Handler(),
            hostname="localhost",
            tls_context=starttls,
            auth_require_tls=False,
            auth_exclude_mechanism=excluded,
        )

    await loop.create_server(lambda: session(None), "127.0.0.1", args.tls_port, ssl=tls)
    server = await loop.create_server(lambda: session(tls), "127.0.0.1", args.port)
    await server.serve_forever()


asyncio.run(main())
