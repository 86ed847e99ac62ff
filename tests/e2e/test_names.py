"""Naughty file names: stored under safe keys, and told again in headers that unlike clients read alike."""

import re
import subprocess
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from aiohttp.multipart import content_disposition_filename, parse_content_disposition
from werkzeug.http import parse_options_header

from deploy.servers.nats import binary
from tests.e2e.conftest import Client
from tests.fixtures.names import NAUGHTY
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

SAFE_KEY = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9a-f-]{36}_[a-z0-9_-]{1,50}\.(txt|bin)")


def by_aiohttp(header: str) -> str | None:
    return content_disposition_filename(parse_content_disposition(header)[1])


def by_werkzeug(header: str) -> str | None:
    return parse_options_header(header)[1].get("filename")


PARSERS: tuple[Callable[[str], str | None], ...] = (by_aiohttp, by_werkzeug)


def uploaded(ann: Client, number: int, name: str) -> dict[str, Any]:
    """By turns in the two ways that a name can take."""
    in_form = "%22" not in name and len(name) < 3000
    in_address = "/" not in name and bool(name.strip("."))
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


def saved_by_curl(system: System, sub: str, media: list[dict[str, Any]], folder: Path) -> list[str]:
    """The names under which `curl -OJ` saves each; it reads the plain name only."""
    command = ["curl", "--silent", "--show-error", "--fail"]
    for number, each in enumerate(media):
        (folder / str(number)).mkdir(parents=True)
        command += ["--next"] if number else []
        command += ["--silent", "--show-error", "-H", f"Authorization: Bearer {system.token(sub)}"]
        command += ["--output-dir", str(folder / str(number)), "-OJ"]
        command += [f"{system.origin_url}/v1/media/{each['id']}/download"]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return [only.name for number in range(len(media)) for only in (folder / str(number)).iterdir()]


def saved_by_go(system: System, sub: str, media: list[dict[str, Any]], folder: Path) -> list[str]:
    """The names that Go's parser of headers finds, by way of a client that is written in it."""
    listing = folder.with_suffix(".csv")
    urls = (f"{system.origin_url}/v1/media/{each['id']}/download" for each in media)
    listing.write_text("".join(f"{url}\n" for url in urls))
    command = [binary("rclone"), "copyurl", "--config", "", "--urls", str(listing), str(folder)]
    command += ["--header-filename", "--inplace", "--header", f"Authorization: Bearer {system.token(sub)}"]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return [only.name for only in folder.iterdir()]


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
