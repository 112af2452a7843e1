"""A server for the built page, on this machine only."""

import functools
import http.server
import sys
from pathlib import Path

from apps.core.errors import UserError

TYPES = {
    "": "application/octet-stream",
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files with the types that browsers insist on; says nothing on the terminal."""

    extensions_map = TYPES
    protocol_version = "HTTP/1.1"

    def end_headers(self) -> None:
        # Asked about again: a rebuilt page is seen at once.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def send_head(self):
        # Another folder at the same port may have an older file that differs.
        del self.headers["If-Modified-Since"]
        return super().send_head()

    def list_directory(self, path):
        self.send_error(404, "No such file")
        return None

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Says nothing where a browser gives up a download."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(folder: Path, port: int) -> Server:
    """A server of `folder` on localhost; port 0 takes a free one.

    Raises:
        UserError: the port is taken or not allowed.
    """
    handler = functools.partial(Handler, directory=str(folder))
    try:
        return Server(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"port {port}: {error}: choose another --port") from error


def serve(folder: Path, port: int) -> None:
    """Serves until it is interrupted."""
    with server(folder, port) as running:
        print(
            f"http://localhost:{running.server_address[1]}/  (Ctrl+C ends it)",
            flush=True,
        )
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print()
