"""Says whether the first DKIM signature of a mail is good, by `dkimpy`: a JSON object on standard input, with `mail`, and with `name` and `record`
of the only text record that there is."""

import json
import sys

import dkim

asked = json.load(sys.stdin)


def record(name, timeout=5):
    return asked["record"].encode() if name.decode().rstrip(".") == asked["name"] else None


message = dkim.DKIM(asked["mail"].encode("utf-8"), minkey=2048)
try:
    good = message.verify(dnsfunc=record)
except dkim.DKIMException:
    good = False
print(json.dumps({"good": good, "signed": [name.decode() for name, _ in message.signed_headers]}))
