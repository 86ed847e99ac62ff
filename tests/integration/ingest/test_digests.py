"""Content-Digest and Repr-Digest over HTTP: verified, and a mismatch leaves nothing."""

import base64
import hashlib

import pytest

from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Gateway, eventually

JPEG = encoded(picture(64, 48))
BODY = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + JPEG + b"\r\n--b--\r\n"
)
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def digest(body: bytes, algorithm: str = "sha-256") -> str:
    found = hashlib.new(algorithm.replace("-", ""), body).digest()
    return f"{algorithm}=:{base64.b64encode(found).decode()}:"


@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
async def test_a_raw_body_is_held_to_its_digest(gateway: Gateway, header: str, algorithm: str) -> None:
    wrong = await gateway.http.put(
        "/v1/uploads/raw/a.jpg", content=JPEG, headers={header: digest(b"x", algorithm)}
    )
    assert wrong.status_code == 422
    assert digest(JPEG, algorithm) in wrong.json()["detail"]
    await eventually(gateway.nothing_is_left, "everything to be gone", 5)
    right = await gateway.http.put(
        "/v1/uploads/raw/a.jpg", content=JPEG, headers={header: digest(JPEG, algorithm)}
    )
    assert right.status_code == 202


async def test_a_form_is_held_to_its_digests(gateway: Gateway) -> None:
    async def status(**digests: str) -> int:
        headers = FORM | {name.replace("_", "-"): value for name, value in digests.items()}
        return (await gateway.http.post("/v1/uploads", content=BODY, headers=headers)).status_code

    assert await status(Content_Digest=digest(JPEG)) == 422
    assert await status(Content_Digest=digest(BODY), Repr_Digest=digest(b"x")) == 422
    await eventually(gateway.nothing_is_left, "everything to be gone", 5)
    assert await status(Content_Digest=digest(BODY), Repr_Digest=digest(JPEG)) == 202
    assert await status(Repr_Digest=digest(BODY, "sha-512")) == 202
    assert await status(Repr_Digest=digest(b"x", "md5")) == 202


async def test_a_digest_that_cannot_be_read_is_malformed(gateway: Gateway) -> None:
    answer = await gateway.http.put(
        "/v1/uploads/raw/a.jpg", content=JPEG, headers={"Repr-Digest": hashlib.sha256(JPEG).hexdigest()}
    )
    assert answer.status_code == 400
    assert "Repr-Digest" in answer.json()["detail"]
    assert await gateway.nothing_is_left()
