"""Parses each message of a folder by Python's email package and checks its signature by dkimpy.

Arguments: the record of the signature's key, and the files. A line of JSON for each: what a reader gets of it, and its
defects.
"""
import functools
import json
import re
import sys
from email import errors, message_from_string, policy

import dkim

REPLACED = re.compile(rb"^(Date|Message-ID): [^\r]*", re.M)


class Once(policy.EmailPolicy):
    """Parses each header once, of which the package parses many again and again."""

    @functools.lru_cache(maxsize=None)
    def header_fetch_parse(self, name, value):
        return super().header_fetch_parse(name, value)


ASCII, UTF8 = Once(linesep="\r\n"), Once(linesep="\r\n", utf8=True)


def defects_of(part, utf8):
    found = list(part.defects)
    for value in part.values():
        found += value.defects
    return [repr(d) for d in found if not (utf8 and isinstance(d, errors.NonASCIILocalPartDefect))]


def read(text):
    utf8 = not text.isascii()
    message = message_from_string(text, policy=UTF8 if utf8 else ASCII)
    got = {"subject": str(message["subject"]), "to": [a.addr_spec for a in message["to"].addresses], "defects": [],
           "files": []}
    if message["list-unsubscribe"]:
        got["unsubscribe"] = f'{message["list-unsubscribe"]} {message["list-unsubscribe-post"]}'
    for part in message.walk():
        got["defects"] += defects_of(part, utf8)
        if part.is_multipart():
            continue
        if part.get_content_disposition() == "attachment":
            got["files"].append(part.get_filename())
            if part.get_payload(decode=True) != b"%PDF-1.7\r\n\x00\xff.\r\n.\r\n":
                got["defects"].append("a file has another content")
            continue
        content = part.get_payload(decode=True).decode(part.get_content_charset("none"))
        kind = {"text/plain": "text", "text/html": "html"}[part.get_content_type()]
        if kind in got:
            got["defects"].append("two parts are " + kind)
        got[kind] = content
    return got


def main(record, *files):
    def key(name, timeout=5):
        return record.encode()

    for file in files:
        with open(file, "rb") as f:
            raw = f.read()
        got = read(raw.decode("utf-8"))
        passed = b"Received: by mx.example.test\r\nReply-To: a@example.com\r\n" + REPLACED.sub(
            rb"\1: <another@mx.example.test>", raw)
        if passed.count(b"<another@mx.example.test>") != 2:
            got["defects"].append("date and id are not there to be replaced")
        for name, text in ("as it came", raw), ("after a relay", passed):
            if not dkim.verify(text, dnsfunc=key):
                got["defects"].append("its signature does not hold " + name)
        print(json.dumps(got))


main(*sys.argv[1:])
