"""Runs ingest alone: `python -m services.ingest`."""

import os
import sys

from services.ingest.app import create_app
from services.ingest.settings import IngestSettings
from shared import failpoints, log
from shared.errors import SettingsError
from shared.runtime import serve


def main() -> None:
    """Exits with 2 when the settings are wrong, in one line that names them."""
    try:
        settings = IngestSettings.from_env(os.environ)
        failpoints.arm(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error.detail}\n")
        sys.exit(2)
    log.configure(settings.log, "ingest")
    serve(create_app(settings), settings.http)


if __name__ == "__main__":
    main()
