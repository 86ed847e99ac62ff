"""The parts of the video pipeline that need no video."""

from fractions import Fraction

import pytest

from services.processor.frames import Ahead
from services.processor.video_pictures import storyboard
from services.processor.video_probe import _moment, _place
from services.processor.video_progress import Course
from services.processor.video_shape import Look
from services.processor.video_stills import board_times, poster_at, sample_times
from shared.film_recipes import Films, FilmSpec, Storyboard, parse

HASHES = ("b068b88d", "8e987fe7", "d1e24b99")


def look(width: int, height: int, aspect: Fraction = Fraction(1), *, on_its_side: bool = False) -> Look:
    turns = (("transpose", "clock"),) if on_its_side else ()
    return Look(width=width, height=height, aspect=aspect, turns=turns, hdr=None)


@pytest.mark.parametrize(
    ("source", "sides"),
    [
        (look(1920, 1080), (1920, 1080)),
        (look(3840, 2160), (1920, 1080)),
        (look(641, 361), (640, 360)),
        (look(1, 1), (2, 2)),
        (look(4096, 16), (1920, 6)),
        (look(1920, 1080, on_its_side=True), (606, 1080)),
        (look(720, 576, Fraction(16, 15)), (768, 576)),
    ],
)
def test_a_film_fits_its_box_with_even_sides_and_square_pixels(source: Look, sides: tuple[int, int]) -> None:
    assert source.within(1920, 1080, even=True) == sides


def test_the_time_left_is_told_once_there_is_something_to_go_by(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("services.processor.video_progress.time.monotonic", lambda: now)
    told: list[Ahead] = []
    course = Course(told.append)
    course.enter("first", 20)
    now += 0.1
    course.at(0.5)  # too soon to say anything again
    now += 1.9
    course.at(0.5)
    course.enter("second", 100)
    now += 2
    course.at(0.25)
    assert told == [
        Ahead(step="first", percent=0, eta=None),
        Ahead(step="first", percent=10, eta=18.0),
        Ahead(step="second", percent=20, eta=8.0),
        Ahead(step="second", percent=40, eta=6.0),
    ]


def test_what_is_begun_again_does_not_go_back_in_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.processor.video_progress.EVERY", 0)
    told: list[Ahead] = []
    course = Course(told.append)
    course.enter("film mp4", 100)
    for share in (0.5, 0.1, 0.6):
        course.at(share)
    assert [one.percent for one in told] == [0, 50, 50, 60]


def test_the_poster_is_of_the_first_second_or_of_the_middle() -> None:
    assert poster_at(10) == 1
    assert poster_at(1.2) == 0.6
    assert poster_at(None) == 1


def test_samples_and_storyboard_are_spread_over_the_whole() -> None:
    assert sample_times(16) == [n + 0.5 for n in range(16)]
    assert board_times(Storyboard(), 6) == [1, 3, 5]
    assert len(board_times(Storyboard(), 36_000)) == 100
    assert board_times(Storyboard(), 0.2) == [0.1]


def test_a_storyboard_says_when_each_of_its_pictures_shows() -> None:
    import numpy as np  # noqa: PLC0415 - only here

    tiles = [np.full((10, 20, 3), shade, np.uint8) for shade in (0, 100, 200)]
    sheet, text = storyboard(Storyboard(columns=2), tiles, 3661.5)
    assert (sheet.width, sheet.height) == (40, 20)
    assert text.mime_type == "text/vtt"
    cues = text.body.decode().split("\n\n")
    assert cues[0] == "WEBVTT"
    assert cues[3].strip().startswith("00:40:41.000 --> 01:01:01.500")
    assert cues[3].strip().endswith("#xywh=0,10,20,10")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+48.8577+002.2950+035.1/", {"latitude": 48.8577, "longitude": 2.295, "altitude": 35.1}),
        ("-33.8688+151.2093/", {"latitude": -33.8688, "longitude": 151.2093}),
        ("+91.0+002.0/", {}),
        ("nowhere", {}),
    ],
)
def test_a_place_is_read_as_iso_6709_writes_it(text: str, place: dict[str, float]) -> None:
    assert _place({"location": text}) == place


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ({"creation_time": "2023-05-09T11:48:30.000000Z"}, "2023-05-09T11:48:30+00:00"),
        ({"creation_time": "1904-01-01T00:00:00.000000Z"}, None),
        ({"creation_time": "soon"}, None),
        (
            {
                "creation_time": "2023-05-09T11:48:30Z",
                "com.apple.quicktime.creationdate": "2023-05-09T12:41:46+0100",
            },
            "2023-05-09T12:41:46+01:00",
        ),
    ],
)
def test_the_moment_is_that_of_the_camera_and_none_that_no_camera_had(
    told: dict[str, str], moment: str | None
) -> None:
    assert _moment(told) == moment


def test_the_hashes_of_films_never_change() -> None:
    assert FilmSpec().hash == HASHES[0]
    assert FilmSpec(name="small", width=640, height=360, crf=28).hash == HASHES[1]
    assert Storyboard().hash == HASHES[2]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"mp4": [{"width": 5}]}, "width of film 'mp4' is 5; allowed is 16 to 7680"),
        ({"mp4": [{"crf": 60}]}, "crf of film 'mp4' is 60; allowed is 0 to 51"),
        ({"mp4": [{"speed": 1}]}, "unknown field `speed`"),
        ({"mp4": [{"name": f"a{n}"} for n in range(9)]}, "there are 9 films; at most 8"),
    ],
)
def test_films_that_cannot_be_made_are_refused_with_the_reason(table: object, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse(table)


def test_a_recipe_may_ask_for_no_film_at_all() -> None:
    assert parse({"mp4": [], "storyboard": None}) == Films(mp4=(), storyboard=None)
