"""The page's own server, asked without a browser."""

import socket
import struct
import threading
import urllib.request

import pytest

from apps.web.serve import server


@pytest.fixture
def served(tmp_path):
    found = server(tmp_path, 0)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def test_a_file_older_than_the_one_kept_is_sent(served, tmp_path):
    """As after a build from another checkout, served at the same port."""
    (tmp_path / "page.js").write_text("other")
    request = urllib.request.Request(
        f"http://localhost:{served.server_address[1]}/page.js",
        headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    )
    with urllib.request.urlopen(request) as response:
        assert response.read() == b"other"


def test_a_download_that_is_given_up_is_no_error(served, tmp_path, monkeypatch, capsys):
    (tmp_path / "large.wasm").write_bytes(bytes(50_000_000))
    ended = threading.Event()
    monkeypatch.setattr(served, "shutdown_request", lambda _: ended.set())
    with socket.create_connection(served.server_address) as browser:
        browser.sendall(b"GET /large.wasm HTTP/1.1\r\n\r\n")
        browser.recv(100)
        # Closed at once, whatever is on the way.
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert ended.wait(30)
    assert capsys.readouterr().err == ""
