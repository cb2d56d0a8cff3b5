"""A provider that takes everything, and appends the idempotency key of each message
that it was handed to a file: provider.py ADDRESS PORT FILE."""

import http.server
import sys


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        keys.write(self.headers["Idempotency-Key"] + "\n")
        keys.flush()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


keys = open(sys.argv[3], "a")
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Provider).serve_forever()
