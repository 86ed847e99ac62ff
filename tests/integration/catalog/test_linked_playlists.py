"""Signed links to the playlists of a ladder: what they name opens without a token, for as long, and nothing else."""

import re
import time
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import msgspec

from shared.events.messages import MediaUploaded, VariantRef
from shared.ids import public_id
from shared.links import sign
from shared.storage import keys
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

HLS, VTT = "application/vnd.apple.mpegurl", "text/vtt"
ORIGIN = "http://origin.test"
FILM = bytes(range(256)) * 8
MASTER = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=2x2\nlow_playlist.m3u8?v=0a0a0a0a\n"
PLAYLIST = (
    b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
    b'#EXT-X-MAP:URI="low.mp4?v=0b0b0b0b",BYTERANGE="100@0"\n'
    b"#EXTINF:4.000,\n#EXT-X-BYTERANGE:200@100\nlow.mp4?v=0b0b0b0b\n"
    b"#EXTINF:1.000,\n#EXT-X-BYTERANGE:50@300\nlow.mp4?v=0b0b0b0b\n#EXT-X-ENDLIST\n"
)
WORDS = b"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nstoryboard?v=0c0c0c0c#xywh=0,0,2,2\n"
MADE = {
    "hls": (HLS, "m3u8", "0d0d0d0d", MASTER),
    "low_playlist": (HLS, "m3u8", "0a0a0a0a", PLAYLIST),
    "low": ("video/mp4", "mp4", "0b0b0b0b", FILM),
    "storyboard": ("image/jpeg", "jpg", "0c0c0c0c", stories.BODY),
    "storyboard_vtt": (VTT, "vtt", "0c0c0c0c", WORDS),
}


async def film(catalog: Service, *, is_public: bool = False) -> MediaUploaded:
    """A video of ann's with a ladder of one film, and a storyboard."""
    upload = stories.uploaded("ann", media_type="video", mime_type="video/mp4", is_public=is_public)
    await catalog.store(upload)
    refs = []
    for name, (mime_type, extension, spec, body) in MADE.items():
        key = keys.variant(upload.id, spec=spec, name=name, extension=extension)
        await catalog.blobs.put_bytes(key, body, content_type=mime_type)
        refs.append(
            msgspec.structs.replace(
                stories.variant(upload.id, name), key=key, mime_type=mime_type, spec=spec, size=len(body)
            )
        )
    variants: tuple[VariantRef, ...] = tuple(refs)
    await catalog.have(upload, stories.processed(upload, variants=variants))
    return upload


async def linked(catalog: Service, upload: MediaUploaded, name: str, **asked: object) -> str:
    """The path and query of a link to a variant of ann's."""
    async with catalog.caller("ann") as ann:
        made = await ann.post(f"/v1/media/{public_id(upload.id)}/links", json={"variant": name, **asked})
    assert made.status_code == 201, made.text
    return str(made.json()["url"]).removeprefix(ORIGIN)


def addresses(text: str) -> list[str]:
    """All that a playlist names: lines that are no comments, and what its comments give as URI."""
    return [line for line in text.splitlines() if not line.startswith("#")] + re.findall(r'URI="(.+?)"', text)


async def test_the_link_to_a_master_playlist_opens_its_films_without_a_token(catalog: Service) -> None:
    upload = await film(catalog)
    nobody, master = catalog.nobody, await linked(catalog, upload, "hls")
    top = await nobody.get(master)
    assert (top.status_code, top.headers["content-type"]) == (200, HLS)
    assert top.text.count("\n") == MASTER.count(b"\n")
    (inner,) = addresses(top.text)
    playlist = await nobody.get(urljoin(master, inner))
    assert (playlist.status_code, playlist.headers["content-type"]) == (200, HLS)
    segments = addresses(playlist.text)
    assert len(segments) == 3
    assert len(set(segments)) == 1, "a film has one address, so that a player's cache finds all of it"
    part = await nobody.get(urljoin(master, segments[0]), headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, FILM[100:300])
    # The ending is for players that want one, and is no part of the name.
    bare = segments[0].replace("low.mp4", "low")
    assert (await nobody.get(urljoin(master, bare))).content == FILM
    # All end when the first one does.
    ends = {parse_qs(urlsplit(each).query)["expires"][0] for each in (master, inner, segments[0])}
    assert len(ends) == 1
    for address in (inner, segments[0]):
        bare = urljoin(master, address.partition("&")[0])
        assert (await nobody.get(bare)).status_code == 404


async def test_a_link_to_the_words_of_a_storyboard_opens_its_picture(catalog: Service) -> None:
    upload = await film(catalog)
    url = await linked(catalog, upload, "storyboard_vtt")
    words = await catalog.nobody.get(url)
    assert words.headers["content-type"].startswith(VTT)
    (named,) = [line for line in words.text.splitlines() if line.startswith("storyboard")]
    assert named.endswith("#xywh=0,0,2,2")
    sheet = await catalog.nobody.get(urljoin(url, named.partition("#")[0]))
    assert (sheet.status_code, sheet.content) == (200, stories.BODY)


async def test_links_of_a_playlist_open_nothing_else_and_end_with_it(catalog: Service) -> None:
    upload, other = await film(catalog), await film(catalog)
    nobody, master = catalog.nobody, await linked(catalog, upload, "hls")
    (inner,) = addresses((await nobody.get(master)).text)
    film_link = urljoin(master, addresses((await nobody.get(urljoin(master, inner))).text)[0])
    url = urlsplit(film_link)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    for path in (
        url.path.replace(str(upload.id), str(other.id)),
        url.path.replace("low.mp4", "storyboard"),
        f"/v1/media/{upload.id}/download",
    ):
        assert (await nobody.get(path, params=query)).status_code == 403, path
    later = query | {"expires": str(int(query["expires"]) + 900)}
    assert (await nobody.get(url.path, params=later)).status_code == 403

    links = catalog.settings.links
    for name in ("hls", "low_playlist", "low"):
        path = f"/v1/media/{upload.id}/variants/{name}"
        old, _ = sign(links, path, now=time.time() - links.seconds - links.window - 1)
        gone = await nobody.get(old)
        assert (gone.status_code, "expired" in gone.json()["detail"]) == (403, True), name

    async with catalog.caller("ann") as ann:
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204
    for address in (master, urljoin(master, inner), film_link):
        assert (await nobody.get(address)).status_code == 404


async def test_a_linked_playlist_is_the_same_for_all_who_have_the_link_and_caches_keep_it(
    catalog: Service,
) -> None:
    upload = await film(catalog)
    master = await linked(catalog, upload, "hls")
    assert await linked(catalog, upload, "hls") == master
    first, again = [await catalog.nobody.get(master) for _ in range(2)]
    assert first.content == again.content
    assert first.headers["etag"] == again.headers["etag"] != '"0d0d0d0d"'
    assert first.headers["cache-control"].startswith("private, max-age=")
    await conditions(catalog.nobody, master, first)
    # Who comes with a token sees it as it is.
    async with catalog.caller("ann") as ann:
        plain = await ann.get(f"/v1/media/{upload.id}/variants/hls")
        assert (plain.content, plain.headers["etag"]) == (MASTER, '"0d0d0d0d"')


async def conditions(nobody: httpx.AsyncClient, url: str, first: httpx.Response) -> None:
    tag = first.headers["etag"]
    kept = await nobody.get(url, headers={"If-None-Match": tag})
    assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", tag)
    assert (await nobody.get(url, headers={"If-Match": '"0d0d0d0d"'})).status_code == 412
    head = await nobody.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == first.headers["content-length"] == str(len(first.content))
    part = await nobody.get(url, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (200, first.content)
    assert part.headers["accept-ranges"] == "none"


async def test_a_linked_playlist_that_is_not_in_the_store_is_an_honest_404(catalog: Service) -> None:
    upload = await film(catalog)
    url = await linked(catalog, upload, "hls")
    await catalog.blobs.delete(keys.variant(upload.id, spec="0d0d0d0d", name="hls", extension="m3u8"))
    answer = await catalog.nobody.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
