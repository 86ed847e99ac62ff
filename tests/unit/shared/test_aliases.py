"""Old names of settings: which are taken, when, and what the table in docs/ says of them."""

import re
from pathlib import Path

import pytest

from shared.dialects.settings import DialectSettings
from shared.env import ALIASES, Env
from shared.errors import SettingsError
from shared.http import HttpSettings
from shared.log import LogSettings
from shared.storage.s3 import S3Settings

PROJECT = Path(__file__).parents[3]
PAIRS = [(ours, old) for ours, names in ALIASES.items() for old in names]
# Every environment variable that the documents of the older systems name.
DOCUMENTED = {
    *("USE_S3", "S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET_NAME", "S3_REGION"),
    *("MEDIA_FOLDER", "MAX_FILE_SIZE", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"),
    *("UPLOAD_DIR", "BASE_URL", "MAX_UPLOAD_SIZE", "ENVIRONMENT", "DEBUG", "LOG_LEVEL"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_STORAGE_BUCKET_NAME", "AWS_S3_REGION_NAME"),
    *("STORAGE_TYPE", "AWS_REGION", "S3_PUBLIC_BASE_URL", "S3_SECURE"),
}


@pytest.mark.parametrize(("ours", "old"), PAIRS)
def test_an_old_name_is_taken_where_ours_is_absent_or_empty(ours: str, old: str) -> None:
    assert Env({old: " 42 "}).text(ours, "default") == "42"
    assert Env({old: "42", ours: " "}).text(ours, "default") == "42"
    assert Env({old: "42", ours: "43"}).text(ours, "default") == "43"
    assert Env({old: " "}).text(ours, "default") == "default"


def test_of_several_old_names_the_first_that_is_set_counts() -> None:
    environ = {"S3_ACCESS_KEY": "", "AWS_ACCESS_KEY_ID": "aws"}
    assert Env(environ).text("TRIPOD_S3_ACCESS_KEY", "") == "aws"
    assert Env(environ | {"S3_ACCESS_KEY": "s3"}).text("TRIPOD_S3_ACCESS_KEY", "") == "s3"


def test_an_environment_of_the_older_systems_configures_ours() -> None:
    env = Env(
        {
            "S3_ENDPOINT_URL": "https://store.example/",
            "AWS_ACCESS_KEY_ID": "access",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "S3_BUCKET_NAME": "my-app-media",
            "AWS_REGION": "eu-west-3",
            "BASE_URL": "https://media.example/",
            "MAX_FILE_SIZE": "10485760",
            "MAX_UPLOAD_SIZE": "209715200",
            "LOG_LEVEL": "INFO",
            "MEDIA_FOLDER": "./media",
            "ENVIRONMENT": "development",
        }
    )
    store, dialects = S3Settings.from_env(env), DialectSettings.from_env(env)
    assert (store.endpoint, store.bucket, store.region) == (
        "https://store.example",
        "my-app-media",
        "eu-west-3",
    )
    assert (store.access_key, store.secret_key) == ("access", "secret")
    assert HttpSettings.from_env(env, port=1).base_url == "https://media.example"
    assert (dialects.largest["library"], dialects.largest["content"]) == (10485760, 209715200)
    assert LogSettings.from_env(env).level == "info"
    assert dialects.folder == ""
    assert env.development is False
    env.check()


@pytest.mark.parametrize(
    ("old", "value"),
    [
        ("BASE_URL", "localhost"),
        ("MAX_FILE_SIZE", "10M"),
        ("LOG_LEVEL", "trace"),
        ("S3_BUCKET_NAME", "x"),
        ("S3_ENDPOINT_URL", "store:9000"),
    ],
)
def test_a_complaint_names_the_variable_that_was_set(old: str, value: str) -> None:
    env = Env({"S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s", old: value})
    S3Settings.from_env(env)
    HttpSettings.from_env(env, port=1)
    LogSettings.from_env(env)
    DialectSettings.from_env(env)
    with pytest.raises(SettingsError) as caught:
        env.check()
    assert caught.value.detail.startswith(f"{old} is ")
    assert "TRIPOD" not in caught.value.detail


def test_what_is_missing_altogether_is_called_by_our_name() -> None:
    env = Env({})
    S3Settings.from_env(env)
    with pytest.raises(SettingsError, match=r"TRIPOD_S3_ACCESS_KEY is '';.*TRIPOD_S3_SECRET_KEY is '';"):
        env.check()


def test_every_alias_is_of_a_setting_that_is_read_and_means_one_thing() -> None:
    read = "\n".join(file.read_text() for file in (PROJECT / "shared").rglob("*.py") if file.name != "env.py")
    olds = [old for _, old in PAIRS]
    assert len(set(olds)) == len(olds)
    assert [ours for ours in ALIASES if f'"{ours}"' not in read] == []


def test_the_table_tells_of_every_old_name_and_of_every_alias() -> None:
    text = (PROJECT / "docs" / "settings-of-older-systems.md").read_text()
    text = text[text.index("## Environment variables") : text.index("## Settings in code")]
    rows = [line.split("|")[1:5] for line in text.splitlines() if line.startswith("| `")]
    told = {name: row[2].strip() for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert set(told) == DOCUMENTED
    aliases = {old: f"`{ours}`, alias" for ours, old in PAIRS}
    assert {name: here for name, here in told.items() if here != "nothing"} == aliases
    assert all(row[3].strip() for row in rows if row[2].strip() == "nothing")
