"""Signatures of requests, held against those of the SDK."""

from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from minio.credentials.credentials import Credentials
from minio.signer import presign_v4, sign_v4_s3

from shared.storage.s3_sign import UNSIGNED, Signer

HOST, REGION, ACCESS, SECRET = "store.test:9000", "eu-west-7", "access", "s3cr3t/+="
WORD = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
ONE = Signer(HOST, REGION, ACCESS, SECRET)


def of_the_sdk(method: str, path: str, query: str, headers: dict[str, str], at: datetime) -> str:
    unsigned: dict[str, str | list[str] | tuple[str]] = {
        "Host": HOST,
        "Accept-Encoding": "identity",
        "x-amz-content-sha256": UNSIGNED,
        "x-amz-date": f"{at:%Y%m%dT%H%M%SZ}",
        **headers,
    }
    signed = sign_v4_s3(
        method=method,
        url=urlsplit(f"http://{HOST}{path}{'?' if query else ''}{query}"),
        region=REGION,
        headers=unsigned,
        credentials=Credentials(ACCESS, SECRET),
        content_sha256=UNSIGNED,
        date=at,
    )
    return str(signed["Authorization"])


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE"]),
    key=WORD,
    query=st.dictionaries(
        st.sampled_from(["uploads", "uploadId", "prefix", "list-type"]), st.just("") | WORD
    ),
    headers=st.dictionaries(st.sampled_from(["Content-Type", "Content-Length", "Range"]), VALUE),
    second=st.integers(min_value=0, max_value=4_000_000_000),
)
def test_a_signature_is_the_one_that_the_sdk_makes(
    method: str, key: str, query: dict[str, str], headers: dict[str, str], second: int
) -> None:
    path, asked = quote(f"/bucket/{key}", safe="/-_.~"), urlencode(sorted(query.items()), quote_via=quote)
    at = datetime.fromtimestamp(second, UTC)
    signed = ONE.signed(method, path, asked, headers, at=second)
    assert signed["Authorization"] == of_the_sdk(method, path, asked, headers, at)
    assert headers.items() <= signed.items()


def test_a_presigned_address_is_that_of_the_manual() -> None:
    """The example of Amazon S3's reference, "Authenticating requests: using query parameters"."""
    signer = Signer(
        "examplebucket.s3.amazonaws.com",
        "us-east-1",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    )
    at = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
    query = signer.presigned_get("/test.txt", parameters={}, seconds=86400, at=at)
    assert query.rpartition("=")[2] == "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"


@given(path=st.lists(WORD, min_size=1, max_size=4), disposition=VALUE, at=st.integers(10**9, 2 * 10**9))
def test_a_presigned_address_is_that_of_the_sdk(path: list[str], disposition: str, at: int) -> None:
    quoted = quote("/" + "/".join(path), safe="/-_.~")
    parameters = {"response-content-disposition": disposition, "response-content-type": "image/jpeg"}
    ours = ONE.presigned_get(quoted, parameters=parameters, seconds=600, at=at)
    theirs = presign_v4(
        method="GET",
        url=urlsplit(f"http://{HOST}{quoted}?{urlencode(parameters, quote_via=quote)}"),
        region=REGION,
        credentials=Credentials(ACCESS, SECRET),
        date=datetime.fromtimestamp(at, UTC),
        expires=600,
    )
    assert ours.rpartition("=")[2] == theirs.query.rpartition("=")[2]
