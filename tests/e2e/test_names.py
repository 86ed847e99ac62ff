"""Naughty file names: stored under safe keys, and told again in headers that unlike clients read alike."""

import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.e2e.conftest import Client
from tests.fixtures.header_readers import PARSERS, saved_by_curl, saved_by_go
from tests.fixtures.names import NAUGHTY
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

SAFE_KEY = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9a-f-]{36}_[a-z0-9_-]{1,50}\.(txt|bin)")


def uploaded(ann: Client, number: int, name: str) -> dict[str, Any]:
    """By turns in the two ways that a name can take."""
    in_form = "%22" not in name
    # Proxies refuse a NUL in an address themselves.
    in_address = not {"/", "\0"} & set(name) and bool(name.strip("."))
    send = as_address if in_address and (number % 2 or not in_form) else as_form
    answer = send(ann, name, f"file {number}".encode())
    assert answer.status_code in {201, 202}, (name, answer.text)
    found: dict[str, Any] = answer.json()
    return found


def as_form(ann: Client, name: str, data: bytes) -> httpx.Response:
    """As browsers write it: UTF-8, with the three characters escaped that would end the name."""
    plain = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    body = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{plain}"\r\n\r\n'.encode()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return ann.http.post("/v1/uploads", content=body + data + b"\r\n--b--\r\n", headers=headers)


def as_address(ann: Client, name: str, data: bytes) -> httpx.Response:
    return ann.http.put(f"/v1/uploads/raw/{quote(name, safe='')}", content=data)


def told(ann: Client, media_id: str) -> str:
    answer = eventually(
        lambda: (
            found if (found := ann.http.head(f"/v1/media/{media_id}/download")).status_code == 200 else None
        ),
        f"{media_id} to be there",
    )
    return str(answer.headers["content-disposition"])


def test_naughty_names_are_stored_under_safe_keys_and_come_back_alike_in_every_client(
    ann: Client, system: System, tmp_path: Path
) -> None:
    before = system.objects()
    with ThreadPoolExecutor(4) as several:
        names = [given for given, _ in NAUGHTY]
        media = list(several.map(partial(uploaded, ann), range(len(names)), names))
        headers = list(several.map(lambda each: told(ann, each["id"]), media))
    for (given, kept), each, header in zip(NAUGHTY, media, headers, strict=True):
        name = each["filename"]
        assert name == (name if kept is None else kept), given
        assert 0 < len(name.encode()) <= 255, given
        assert unicodedata.is_normalized("NFC", name), given
        assert not any(unicodedata.category(c) in {"Cc", "Zl", "Zp", "Co", "Cs"} for c in name), given
        assert header.isascii(), given
        assert [parse(header) for parse in PARSERS] == [name] * len(PARSERS), header
    ids = {each["id"] for each in media}
    keys = {key for key in system.objects() - before if any(f"/{i}_" in key for i in ids)}
    assert len(keys) == len(media)
    assert [key for key in keys if not SAFE_KEY.fullmatch(key.partition("/")[2])] == []

    distinct = list({each["filename"]: each for each in media}.values())
    assert set(saved_by_go(system, ann.sub, distinct, tmp_path / "go")) == {m["filename"] for m in distinct}
    for name, header in zip(saved_by_curl(system, ann.sub, media, tmp_path / "curl"), headers, strict=True):
        assert f'filename="{name}"' in header
