"""A sound goes in; what comes out plays, is drawn and described."""

import httpx
import pytest

from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.sounds import hear, sound


def test_a_sound_becomes_an_mp3_a_waveform_and_a_cover_and_can_be_made_again(ann: Client) -> None:
    told = {"title": "Morning", "artist": "Ann", "album": "Days"}
    made = sound("flac", seconds=2, metadata=told, cover=encoded(picture(64, 64), "PNG"))
    media = ann.uploaded(made.data, "Morning.flac")
    assert media["status"] == "ready", media
    assert (media["media_type"], media["mime_type"]) == ("audio", "audio/flac")
    assert media["duration"] == pytest.approx(2, abs=0.05)
    assert {name: media["exif"][name] for name in told} == told
    assert media["exif"]["loudness"] < -5
    variants = {variant["name"]: variant for variant in media["variants"]}
    assert set(variants) == {"mp3", "waveform", "waveform_png", "cover", "thumbnail"}
    assert media["thumbnail_url"] == variants["thumbnail"]["url"]

    answers = {name: ann.http.get(variant["url"]) for name, variant in variants.items()}
    types = {name: answer.headers["content-type"].partition(";")[0] for name, answer in answers.items()}
    assert types == {
        "mp3": "audio/mpeg",
        "waveform": "application/json",
        "waveform_png": "image/png",
        "cover": "image/jpeg",
        "thumbnail": "image/jpeg",
    }
    assert hear(answers["mp3"].content).seconds == pytest.approx(2, abs=0.05)
    peaks = answers["waveform"].json()
    assert (peaks["version"], len(peaks["data"])) == (2, 2 * peaks["length"])
    part = ann.http.get(variants["mp3"]["url"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, answers["mp3"].content[100:200])

    answer = ann.http.post(f"/v1/media/{media['id']}/reprocess")
    assert answer.status_code == 202
    assert ann.final(media["id"])["status"] == "ready"
    with httpx.Client() as nobody:
        assert nobody.get(variants["waveform"]["url"]).status_code == 404
