"""The data folder: whose it is, and that its secrets are closed to others."""

import signal
from pathlib import Path

import pytest

from deploy.child import Child, ChildSpec
from deploy.config import ANY_PORTS, Folder, Ports, chosen
from deploy.credentials import load_or_make
from deploy.errors import StackError


def test_folder_of_another_user_is_refused_with_both_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(root=tmp_path / "data")
    folder.make()
    monkeypatch.setattr("deploy.config.os.geteuid", lambda: 4_000_000)

    with pytest.raises(StackError, match=r"belongs to .+ and you are uid 4000000: run it as the same user"):
        folder.make()


def test_parts_of_the_folder_are_closed_to_other_users(tmp_path: Path) -> None:
    folder = Folder(root=tmp_path / "data")
    folder.make()
    load_or_make(folder.credentials)

    modes = {
        part: part.stat().st_mode & 0o077
        for part in (folder.media, folder.nats, folder.logs, folder.credentials)
    }
    assert set(modes.values()) == {0}
    assert folder.root.stat().st_mode & 0o077 == 0o011


def test_secrets_are_made_once_and_long_enough_for_production(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"

    made = load_or_make(file)

    assert load_or_make(file) == made
    assert min(len(made.jwt_secret), len(made.link_secret)) >= 32
    assert made.jwt_secret != made.link_secret
    assert made.nats[0].isalpha()
    assert load_or_make(tmp_path / "others.json") != made


def test_random_ports_are_all_different_and_chosen_ones_stay() -> None:
    ports = chosen(Ports(**{name: 0 for name in ANY_PORTS.__struct_fields__ if name != "nats"}, nats=4222))
    found = [getattr(ports, name) for name in ports.__struct_fields__]

    assert ports.nats == 4222
    assert len(set(found)) == len(found)
    assert all(0 < port < 32_768 for port in found)


def test_log_that_grew_large_is_cut_and_its_former_part_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.child.LOG_LIMIT", 10)
    log = tmp_path / "nats.log"
    log.write_text("more than ten bytes")
    spec = ChildSpec(name="nats", command=("true",), env={}, probe=lambda: None, stop_signal=signal.SIGTERM)

    Child(spec, log).bound_log()

    assert log.read_text() == ""
    assert (tmp_path / "nats.log.1").read_text() == "more than ten bytes"
    assert Child(spec, log).tail() == ""
