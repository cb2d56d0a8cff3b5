"""A receiver of notices, as somebody else would write it: it checks each
signature by the secret that it shares (Standard Webhooks), and appends the
notice to a file."""

import base64
import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, key, path = int(sys.argv[1]), base64.b64decode(sys.argv[2].removeprefix("whsec_")), sys.argv[3]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        want = base64.b64encode(hmac.new(key, f"{head}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
        signed = any(hmac.compare_digest(one, "v1," + want) for one in self.headers["webhook-signature"].split())
        if not signed or abs(time.time() - int(at)) > 300:
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
