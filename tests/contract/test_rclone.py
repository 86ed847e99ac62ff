"""What is peculiar to the store of the embedded stack."""

from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.storage.blobs import Blobs
from tests.contract.stores import S3Store, read
from tests.fixtures.waiting import eventually_async

KEY = "variants/a/small.jpg"


@pytest.mark.long
@pytest.mark.parametrize("store", ["rclone"], indirect=True)
async def test_an_object_of_which_the_store_has_a_wrong_idea_is_readable_again_within_seconds(
    store: S3Store, blobs: Blobs, tmp_path: Path
) -> None:
    """Two PUTs of one folder may leave it with such an idea, if one of them breaks off; so does a file that is changed
    behind its back, which can be done at will."""
    await blobs.put_bytes(KEY, b"x" * 50_000, content_type="image/jpeg")
    (file,) = (tmp_path / "media").rglob("small.jpg")
    draft = tmp_path / "other"
    draft.write_bytes(b"y" * 1000)
    draft.replace(file)

    async def readable() -> bool:
        try:
            return await read(blobs, KEY) == b"y" * 1000
        except Unavailable:
            return False

    assert not await readable()
    await eventually_async(readable, "the store to look again", 15)
    assert store.leftovers() == []
