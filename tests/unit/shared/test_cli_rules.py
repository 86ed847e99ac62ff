"""What the client commands decide without a server: when to try again, which files are meant, what is said of them."""

import errno
import json
import os
import re
import shlex
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import click
import jwt
import msgspec
import pytest
from click.testing import CliRunner
from tenacity import RetryCallState

from shared.cli import main
from shared.cli.choosing import Choice, chosen
from shared.cli.failures import Refused, Unreachable
from shared.cli.refs import media_path
from shared.cli.retries import Patience, may_help, retrying, seconds_of
from shared.cli.sending import File, Wish, keys
from shared.cli.server import Server, server_at
from shared.cli.upload import options_of
from shared.cli.watch import Board, moment
from shared.errors import Invalid, TripodError, Unauthenticated

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FILE = File(path=Path("a.jpg"), size=3, modified=1, sha256="ab" * 32)


def refused(status: int, retry_after: int | None = None) -> Refused:
    return Refused(status, {"detail": "no"}, retry_after=retry_after)


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (Unreachable("gone"), True),
        (refused(503), True),
        (refused(503, 5), True),
        (refused(502), True),
        (refused(429, 5), True),
        (refused(429), False),  # a quota that is used up: waiting does not help
        (refused(429, 3600), False),
        (refused(409, 1), True),  # the same request is still running
        (refused(409), False),
        (refused(404, 2), True),  # a variant that is being made
        (refused(404), False),
        (refused(400), False),
        (refused(415), False),
        (refused(500), False),
        (Invalid("changed"), False),
    ],
)
def test_only_what_may_be_answered_otherwise_is_tried_again(
    error: TripodError,
    helps: bool,  # noqa: FBT001 -- a case of the table
) -> None:
    assert may_help(error, longest=60) is helps


def test_a_pause_is_as_long_as_the_server_asks_and_grows_otherwise() -> None:
    rules = retrying(Patience(attempts=5, first=0.5, longest=10))

    def pause(attempt: int, error: TripodError) -> float:
        state = RetryCallState(retry_object=rules, fn=None, args=(), kwargs={})
        state.attempt_number = attempt
        state.set_exception((type(error), error, None))
        return rules.wait(state)

    assert 7 <= pause(1, refused(503, 7)) <= 7.5
    assert 0.5 <= pause(1, refused(503)) <= 1
    assert 2 <= pause(3, Unreachable("gone")) <= 2.5
    assert pause(30, Unreachable("gone")) == 10


async def test_the_last_error_is_raised_when_patience_ends_and_each_pause_is_told() -> None:
    tried = 0
    told: list[str] = []

    async def fail() -> None:
        nonlocal tried
        tried += 1
        raise Unreachable(f"try {tried}")

    with pytest.raises(Unreachable, match="try 3"):
        await retrying(
            Patience(attempts=3, first=0.0, longest=0.0), lambda error, _: told.append(str(error))
        )(fail)
    assert (tried, told) == (3, ["try 1", "try 2"])


def test_a_retry_after_is_a_number_or_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert [seconds_of(None), seconds_of("7"), seconds_of("soon"), seconds_of("-1")] == [None, 7, None, None]
    assert seconds_of(later) in {29, 30}
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_folders_give_all_below_them_and_files_that_are_named_are_always_meant(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.JPG", "b/c/3.jpg", "b/.git/4.jpg", "b/.5.jpg", "b/6.txt", ".named"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "b" / "loop").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "broken.jpg").symlink_to(tmp_path / "nowhere")

    def names(*paths: str, **choice: object) -> list[str]:
        found = chosen([tmp_path / path for path in paths], msgspec.convert(choice, Choice))
        assert found.faults == {}
        return [path.relative_to(tmp_path).as_posix() for path in found.files]

    assert names("b", ".named", "b/2.jpg") == [
        "b/1.JPG",
        "b/2.jpg",
        "b/6.txt",
        "b/broken.jpg",
        "b/c/3.jpg",
        ".named",
    ]
    assert names("b", include=("*.jpg",), exclude=("c/*", "broken*")) == ["b/2.jpg"]
    assert {"b/.git/4.jpg", "b/.5.jpg"} <= set(names("b", hidden=True))
    with pytest.raises(Invalid, match="no file to upload"):
        names("b", include=("*.mp4",))


def test_what_cannot_be_read_is_a_fault_of_its_own_unless_nothing_in_it_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("open/1.jpg", "open/shut/2.jpg", "open/.shut/3.jpg", "open/z/4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    really = os.scandir

    def scandir(path: str) -> Any:  # a mode would not keep the superuser out
        if path.endswith("shut"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    paths = [tmp_path / "open", tmp_path / "absent", Path(os.devnull), tmp_path / "a\0b"]
    found = chosen(paths, Choice())
    assert [path.name for path in found.files] == ["1.jpg", "4.jpg"]
    assert {path.name: fault.detail for path, fault in found.faults.items()} == {
        "shut": "The folder cannot be read: Permission denied.",
        "absent": "It cannot be read: No such file or directory.",
        "null": "It is no file and no folder.",
        "a\0b": "It is no path.",
    }
    assert chosen(paths[:1], Choice(exclude=("shut/*",))).faults == {}
    assert set(chosen(paths[:1], Choice(exclude=("s??t", "*.png"))).faults) == {tmp_path / "open" / "shut"}
    assert len(chosen(paths[:1], Choice(hidden=True)).faults) == 2


def test_a_key_follows_from_the_file_and_what_is_said_of_it_unless_it_is_to_be_sent_again() -> None:
    wish = Wish(options=(("caption", "x"),))
    assert keys(FILE, wish) == keys(msgspec.structs.replace(FILE, modified=2), wish)
    assert len(set(keys(FILE, wish))) == 100
    others = [
        keys(msgspec.structs.replace(FILE, sha256="cd" * 32), wish),
        keys(msgspec.structs.replace(FILE, path=Path("b.jpg")), wish),
        keys(FILE, Wish()),
        keys(FILE, Wish(options=wish.options, again=True)),
    ]
    assert not any(set(keys(FILE, wish)) & set(other) for other in others)


def test_options_become_the_query_of_the_upload(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"k":  [1, 2]}')
    said = options_of(
        entity="post/a/b", field="cover", tags=("x", "y"), public=False, metadata=f"@{tmp_path}/m.json"
    )
    assert said == (
        ("entity_type", "post"), ("entity_id", "a/b"), ("entity_field", "cover"), ("is_public", "false"),
        ("metadata", '{"k":[1,2]}'), ("tags", "x"), ("tags", "y"),
    )  # fmt: skip
    with pytest.raises(Invalid, match="TYPE/ID"):
        options_of(entity="post")
    with pytest.raises(Invalid, match="--entity"):
        options_of(field="cover")
    for text in ("[1]", "{", "@/nowhere"):
        with pytest.raises(Invalid, match="--metadata"):
            options_of(metadata=text)


def test_a_server_is_an_address_and_its_token_is_never_shown() -> None:
    token = jwt.encode({"sub": "ann"}, "a secret of more than 32 bytes for tests", "HS256")
    server = server_at("http://localhost:8000/", f" {token}\n")
    assert (server.url, server.token, server.sub) == ("http://localhost:8000", token, "ann")
    assert token not in repr(server) + str(server)
    for url in ("localhost:8000", "ftp://x", "http://", "http://u:p@x"):
        with pytest.raises(Invalid, match="TRIPOD_URL"):
            server_at(url, None)
    with pytest.raises(Invalid, match="TRIPOD_TOKEN") as caught:
        server_at("http://x", "two words")
    assert "two words" not in caught.value.detail
    for bad in (None, "abc", jwt.encode({}, "a secret of more than 32 bytes for tests", "HS256")):
        with pytest.raises(Unauthenticated, match="TRIPOD_TOKEN"):
            _ = Server(token=bad).sub


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ls", "--url", "example.org"), ["example.org", "http://localhost:8000"]),
        (("ls", "--mine"), ["TRIPOD_TOKEN", "tripod token"]),
        (("upload", __file__), ["TRIPOD_TOKEN"]),
        (("rm", "5", "--yes"), ["'5'", "UUID"]),
        (("rm", "MED-" + "0" * 26), ["--yes"]),
        (("get", "MED-" + "0" * 26, "-o", "-", "--json"), ["standard output"]),
        (("entity", "put", "post"), ["TYPE/ID"]),
        (("watch", "--since", "yesterday"), ["yesterday", "10m"]),
        (("upload", __file__, "--entity", "post", "--json"), ["TYPE/ID"]),
    ],
)
def test_a_wrong_call_is_told_in_one_line_with_status_1(arguments: tuple[str, ...], words: list[str]) -> None:
    ended = CliRunner().invoke(main, arguments, env={"TRIPOD_URL": None, "TRIPOD_TOKEN": None})
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (1, 1)
    for word in words:
        assert word in ended.stderr
    if "--json" not in arguments:
        assert ended.stdout == ""
        return
    (problem,) = json.loads(ended.stdout).values()
    assert problem["code"] == "invalid"
    assert f"tripod: {problem['detail']}\n" == ended.stderr


@pytest.mark.parametrize(
    "arguments", [("upload", "--jobs", "0", "a"), ("upload",), ("rm",), ("ls", "--no-such-option")]
)
def test_wrong_options_are_told_as_json_too_where_that_is_asked_for(arguments: tuple[str, ...]) -> None:
    plain, machine = (CliRunner().invoke(main, [*arguments, *more]) for more in ((), ("--json",)))
    assert (plain.exit_code, plain.stdout, machine.exit_code) == (2, "", 2)
    problem = json.loads(machine.stdout)["problem"]
    assert problem["code"] == "usage"
    assert problem["detail"] in plain.stderr


def test_paths_of_which_none_can_be_read_are_told_one_by_one_without_a_server() -> None:
    ended = CliRunner().invoke(main, ["upload", os.devnull, "absent", "--json"], env={"TRIPOD_TOKEN": None})
    assert ended.exit_code == 1
    told = json.loads(ended.stdout)
    assert (told["failed"], [file["path"] for file in told["files"]]) == (2, [os.devnull, "absent"])
    assert told["files"][1]["problem"]["code"] == "invalid"
    assert ended.stderr.splitlines()[0] == "tripod: /dev/null: It is no file and no folder."


def test_a_moment_is_some_time_ago_or_an_iso_time() -> None:
    assert moment("90m", NOW) == NOW - timedelta(minutes=90)
    assert moment("2026-11-21T10:00Z", NOW) == moment("2026-11-21T10:00", NOW) == NOW - timedelta(hours=2)


def test_a_media_is_named_by_either_id_and_never_by_a_number() -> None:
    assert media_path("MED-" + "0" * 26) == "/v1/media/00000000-0000-0000-0000-000000000000"
    with pytest.raises(Invalid, match="123"):
        media_path("123")


def test_the_board_keeps_one_row_for_each_media_the_latest_at_the_bottom() -> None:
    board = Board(rows=2)
    ids = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(3)]
    for media_id in ids:
        board.take(
            {"type": "media.created", "id": media_id, "media": {"filename": "[red]\x1bx", "status": "ready"}}
        )
    board.take({"type": "progress", "id": ids[1], "stage": "variants", "percent": 40})
    table = board.table()
    assert table.row_count == 2
    states, names = (list(table.columns[n].cells) for n in (3, 4))
    assert states == ["ready", "variants 40 %"]
    coming = {"type": "progress", "id": ids[0], "stage": "receiving", "percent": 0, "filename": "b"}
    board.take(coming | {"received": 2048})
    board.take(coming | {"received": 4096, "size": 8192})
    *_, state, name = (list(column.cells)[-1] for column in board.table().columns)
    assert (state, name) == ("receiving 4.0 KiB of 8.0 KiB", "b")
    assert names == ["\\[red]\\x1bx"] * 2


def test_every_example_of_the_readme_is_a_command_with_options_that_exist() -> None:
    text = (Path(__file__).parents[3] / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    examples = [line for block in blocks for line in block.splitlines() if line.startswith("tripod ")]
    assert len(examples) >= 8
    for example in examples:
        command: click.Command = main
        arguments = shlex.split(example, comments=True)[1:]
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), arguments.pop(0))
            assert found is not None, example
            command = found
        command.make_context("tripod", arguments)
