from pathlib import Path

import pytest

from deploy import credentials
from deploy.config import StackConfig
from deploy.run import with_defaults
from deploy.services import environment, inherited
from deploy.stack import EmbeddedStack
from shared.dialects.settings import DialectSettings
from shared.env import ALIASES, Env
from shared.http import HttpSettings
from shared.storage.s3 import S3Settings


@pytest.fixture
def stack() -> EmbeddedStack:
    stack = EmbeddedStack(StackConfig(data=Path("data")))
    stack.secrets = credentials.make()
    return stack


def test_run_opens_the_library_unless_the_user_has_said_otherwise() -> None:
    config = StackConfig(data=Path("data"), environment={"TRIPOD_LOG_LEVEL": "debug"})
    opened = with_defaults(config, {}).environment
    assert opened == {"TRIPOD_LIBRARY_ANONYMOUS": "full", "TRIPOD_LOG_LEVEL": "debug"}
    assert with_defaults(config, {"TRIPOD_LIBRARY_ANONYMOUS": "none"}).environment == config.environment


def test_old_names_in_the_users_shell_never_lead_the_stack_to_another_store_or_address(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings() -> tuple[S3Settings, str, str]:
        env = Env(inherited() | environment(stack))
        dialects = DialectSettings.from_env(env)
        base_url = HttpSettings.from_env(env, port=1).base_url
        return S3Settings.from_env(env), base_url, dialects.folder

    before = settings()
    for names in ALIASES.values():
        for name in names:
            monkeypatch.setenv(name, "http://elsewhere.example" if "URL" in name else "4242")
    assert settings() == before
    assert before[0].access_key == stack.secrets.s3_access_key
    assert before[1] == stack.origin_url


def test_the_stack_says_in_which_folder_its_store_keeps_files_unless_the_user_does(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRIPOD_STORAGE_FOLDER", raising=False)
    assert environment(stack)["TRIPOD_STORAGE_FOLDER"] == str(stack.folder.media / "tripod")
    monkeypatch.setenv("TRIPOD_STORAGE_FOLDER", "/srv/media")
    assert environment(stack)["TRIPOD_STORAGE_FOLDER"] == "/srv/media"
