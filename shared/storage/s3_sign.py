"""Signatures for requests to an S3 store (AWS Signature Version 4), with the key of a day made once."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote, urlencode

UNSIGNED = "UNSIGNED-PAYLOAD"
"""The payload is not hashed a second time: over TLS or a private network the signature guards the request."""


class Signer:
    """Signs with one key pair for one host and region."""

    def __init__(self, host: str, region: str, access_key: str, secret_key: str) -> None:
        self._host = host
        self._region = region
        self._access_key = access_key
        self._secret_key = secret_key
        self._day = ""
        self._key = b""

    def signed(
        self, method: str, path: str, query: str, headers: Mapping[str, str], *, at: float | None = None
    ) -> dict[str, str]:
        """These headers and those of the signature. `path` and `query` are quoted as they will be sent, the query
        sorted by name; `at` is in seconds since 1970, now unless given."""
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        sent = {
            "Host": self._host,
            "Accept-Encoding": "identity",
            "x-amz-content-sha256": UNSIGNED,
            "x-amz-date": now,
            **headers,
        }
        lines = sorted((name.lower(), " ".join(value.split())) for name, value in sent.items())
        names = ";".join([name for name, _ in lines])
        told = "".join([f"{name}:{value}\n" for name, value in lines])
        request = f"{method}\n{path}\n{query}\n{told}\n{names}\n{UNSIGNED}"
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = _hmac(self._key_of(now[:8]), text).hex()
        sent["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return sent

    def presigned_get(self, path: str, *, parameters: Mapping[str, str], seconds: int, at: float) -> str:
        """The query by which anybody may GET `path` (quoted as it will be sent) for so many seconds from `at` on. There
        is no such thing for other methods: with one for PUT some stores copy what its holder may not read."""
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        asked = {
            **parameters,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self._access_key}/{scope}",
            "X-Amz-Date": now,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        query = urlencode(sorted(asked.items()), quote_via=quote)
        request = f"GET\n{path}\n{query}\nhost:{self._host}\n\nhost\n{UNSIGNED}"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        return f"{query}&X-Amz-Signature={_hmac(self._key_of(now[:8]), text).hex()}"

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._secret_key}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = _hmac(key, part)
            self._day, self._key = day, key
        return self._key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
