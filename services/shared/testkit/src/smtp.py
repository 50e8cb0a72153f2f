"""An SMTP server that prints each mail it takes as a line of JSON: `smtp.py PORT PASSWORD CERTIFICATE`.

An empty password asks for no login, an empty certificate offers no STARTTLS. Ends with its standard input."""

import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, SMTP


def part(leaf):
    return {
        "media_type": leaf.get_content_type(),
        "parameters": dict(leaf["content-type"].params) if leaf["content-type"] else {},
        "body": leaf.get_content(),
    }


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no mailbox " + address
        if address.startswith("later@"):
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "user": session.auth_data,
                    "headers": [[name, str(value)] for name, value in message.items()],
                    "body": message.get_body(("plain",)).get_content(),
                    "parts": [part(leaf) for leaf in message.walk() if not leaf.is_multipart()],
                    "raw": envelope.content.decode("utf-8", "replace"),
                }
            ),
            flush=True,
        )
        return "250 OK"


port, password, certificate = int(sys.argv[1]), sys.argv[2], sys.argv[3]
# It warns of logins in clear: this machine is talking to itself.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
warnings.simplefilter("ignore")
tls = None
if certificate:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)


def login(server, session, envelope, mechanism, data):
    good = data.login == b"clinic" and data.password == password.encode()
    return AuthResult(success=good, handled=False, auth_data="clinic" if good else None)


class Server(Controller):
    def factory(self):
        return SMTP(
            self.handler,
            hostname="mail.test",
            enable_SMTPUTF8=True,
            authenticator=login,
            auth_required=bool(password),
            auth_require_tls=False,
            tls_context=tls,
        )


server = Server(Handler(), hostname="127.0.0.1", port=port)
server.start()
print("ready", flush=True)
sys.stdin.read()
server.stop()
