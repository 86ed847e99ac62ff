import pytest

from services.catalog import render
from shared import presets
from shared.auth import ANONYMOUS, Caller
from shared.errors import Forbidden, Invalid, Unauthenticated
from shared.rendering import Options


@pytest.mark.parametrize(
    ("accept", "webp"),
    [
        ("image/avif,image/webp,image/apng,*/*;q=0.8", True),
        ("IMAGE/WEBP", True),
        ("image/webp;q=0.1", True),
        ("image/png, image/webp ; q=0.5", True),
        ("image/webp;q=0", False),
        ("image/webp; q=0.000", False),
        ("image/*", False),
        ("*/*", False),
        ("image/webpx", False),
        ("", False),
        (None, False),
    ],
)
def test_webp_is_accepted_where_it_is_named(accept: str | None, *, webp: bool) -> None:
    assert render.accepts_webp(accept) is webp


def test_without_a_signature_a_preset_needs_a_token_and_free_sides_are_refused() -> None:
    ann = Caller(sub="ann")
    render.require_right(Options(preset="small"), ann)
    with pytest.raises(Unauthenticated):
        render.require_right(Options(preset="small"), ANONYMOUS)
    with pytest.raises(Forbidden, match="signed"):
        render.require_right(Options(w=100), ann)


def test_an_answer_varies_only_where_accept_decides() -> None:
    known = presets.shipped()

    def varies(**asked: object) -> bool:
        options = Options(**asked)  # type: ignore[arg-type]
        return render.meant(options, known, mime_type="image/jpeg", accept="image/webp")[1]

    assert varies(w=1)
    assert varies(w=1, format="auto")
    assert varies(preset="small")
    assert not varies(preset="social")
    assert not varies(w=1, format="webp")
    with pytest.raises(Invalid, match="no preset"):
        varies(preset="nothing")
