# SPDX-License-Identifier: Apache-2.0
"""A small web server that says its name: a member of the demonstration. Arguments: NAME ADDRESS PORT."""

import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with the name of the server."""

    protocol_version = "HTTP/1.1"
    name = ""

    def do_GET(self) -> None:
        """Answer."""
        body = f"{self.name}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


def main() -> None:
    """Serve for ever."""
    Handler.name, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if ":" in address:
        ThreadingHTTPServer.address_family = socket.AF_INET6
    ThreadingHTTPServer((address, port), Handler).serve_forever()


if __name__ == "__main__":
    main()
