"""Keys of an identity provider, by HTTP as by file."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from shared.auth import Authenticator, AuthSettings
from shared.errors import Unauthenticated, Unavailable
from tests.fixtures.tokens import KEYS, bearer, write_keys


@contextmanager
def served(path: Path) -> Iterator[str]:
    """The file by HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(path.read_bytes())

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("source", ["file", "url"])
async def test_a_token_without_kid_is_checked_by_the_only_key_of_its_algorithm(
    source: str, tmp_path: Path
) -> None:
    rsa_key, first, second = KEYS["RS256"][0](), KEYS["ES256"][0](), KEYS["ES256"][0]()
    path = write_keys(
        tmp_path / "keys.json", {"r": ("RS256", rsa_key), "a": ("ES256", first), "b": ("ES256", second)}
    )
    with served(Path(path)) as url:
        authenticator = Authenticator(AuthSettings(jwks=path if source == "file" else url))
        assert (await authenticator.caller(bearer({"sub": "u1"}, rsa_key, "RS256"))).sub == "u1"
        assert (await authenticator.caller(bearer({"sub": "u1"}, second, "ES256", "b"))).sub == "u1"
        with pytest.raises(Unauthenticated, match="2 keys"):
            await authenticator.caller(bearer({"sub": "u1"}, first, "ES256"))
        with pytest.raises(Unauthenticated, match="gone"):
            await authenticator.caller(bearer({"sub": "u1"}, rsa_key, "RS256", "gone"))


@pytest.mark.parametrize("content", ["<html>", "[]", '{"keys": []}', '{"keys": [{"kty": "?"}]}'])
async def test_a_key_set_that_cannot_be_had_is_an_outage_and_no_verdict(content: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    token = bearer({"sub": "u1"}, KEYS["RS256"][0](), "RS256", "k")
    with served(path) as url, pytest.raises(Unavailable):
        await Authenticator(AuthSettings(jwks=url)).caller(token)
    with pytest.raises(Unavailable):
        await Authenticator(AuthSettings(jwks=url)).caller(token)
