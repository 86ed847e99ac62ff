"""`python -m deploy.nginx FOLDER`: writes nginx.conf and html/ for the edge's image; connects nowhere."""

import sys
from pathlib import Path

from deploy import openapi
from deploy.nginx import files
from deploy.nginx.configuration import configuration
from deploy.openapi import Document
from deploy.routes import Table

# The apps are made only to be described, so any settings that are allowed will do.
SETTINGS = {
    "TRIPOD_ENV": "development",
    "TRIPOD_S3_ACCESS_KEY": "none",
    "TRIPOD_S3_SECRET_KEY": "none",
}


def documents() -> dict[str, Document]:
    """What each service says of itself."""
    # Imported here: the configuration alone needs neither service.
    from services.catalog.app import create_app as create_catalog  # noqa: PLC0415
    from services.catalog.settings import CatalogSettings  # noqa: PLC0415
    from services.ingest.app import create_app as create_ingest  # noqa: PLC0415
    from services.ingest.settings import IngestSettings  # noqa: PLC0415

    apps = {
        "ingest": create_ingest(IngestSettings.from_env(SETTINGS)),
        "catalog": create_catalog(CatalogSettings.from_env(SETTINGS)),
    }
    return {name: app.openapi_schema.to_schema() for name, app in apps.items()}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m deploy.nginx FOLDER\n")
        return 2
    folder = Path(arguments[0])
    pages = files.all_pages(openapi.merge(documents(), Table()))
    files.write(pages, folder / "html")
    (folder / "nginx.conf").write_text(configuration(pages))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
