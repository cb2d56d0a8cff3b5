"""A receiver of notices, as somebody else would write it: it checks each
signature by the secret that it shares, and appends the notice to a file."""

import hashlib
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, secret, path = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = dict(p.split("=", 1) for p in self.headers["Meddela-Signature"].split(","))
        want = hmac.new(secret, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(want, parts["v1"]):
            self.send_response(403)
            self.end_headers()
            return
        notice = json.loads(body)
        with open(path, "a") as out:
            out.write(json.dumps({"id": notice["id"], "event": notice["data"]["event_id"], "status": notice["data"]["status"]}) + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
