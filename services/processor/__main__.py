"""Runs the processor alone: `python -m services.processor`."""

import os
import sys

from services.processor.app import create_app
from services.processor.settings import Settings
from shared import failpoints, log
from shared.env import Env
from shared.errors import SettingsError
from shared.runtime import serve


def main() -> int:
    """The exit status; wrong settings are told in one line."""
    try:
        settings = Settings.from_env(Env(os.environ))
        failpoints.arm(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2
    log.configure(settings.log, "processor")
    serve(create_app(settings), settings.http)
    return 0


if __name__ == "__main__":
    sys.exit(main())
