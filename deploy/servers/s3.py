"""An S3 store over a local folder: `rclone serve s3` from its wheel."""

import os
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException

from deploy.child import ChildSpec, NotReady, plain_env
from deploy.servers.nats import binary

REGION = "us-east-1"
DRAFT = ".rclone_temp_"


def spec(folder: Path, port: int, access_key: str, secret_key: str) -> ChildSpec:
    """The server process; each bucket is a folder in `folder`."""
    return ChildSpec(
        name="s3",
        command=(
            *(binary("rclone"), "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}"),
            # No configuration file of the user's, and no cache beside the folder itself.
            *("--config", "", "--vfs-cache-mode", "off"),
            # A PUT that breaks off beside another of its folder may leave a finished object known by the name of its
            # draft: it cannot be read until the folder is looked at anew, by default five minutes later.
            *("--dir-cache-time", "5s"),
            # Signed headers of long keys and names exceed the default of 4 KiB.
            *("--max-header-bytes", "16384"),
        ),
        # The key pair by environment, where `ps` does not show it; the value is one CSV field.
        env=plain_env() | {"RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"'},
        probe=lambda: probe(port, access_key, secret_key),
        before=lambda: forget(folder),
    )


def forget(folder: Path) -> None:
    """Remove the drafts of uploads that a killed server left: it forgets them with its process, lists them nowhere, and
    nobody could go on with them."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(DRAFT):
                Path(parent, name).unlink(missing_ok=True)


def endpoint(port: int) -> str:
    """Address of the store."""
    return f"http://127.0.0.1:{port}"


def probe(port: int, access_key: str, secret_key: str) -> None:
    """Raise NotReady unless a signed listing of buckets is answered."""
    http = urllib3.PoolManager(timeout=urllib3.Timeout(2.0), retries=False)
    client = Minio(
        f"127.0.0.1:{port}",
        access_key=access_key,
        secret_key=secret_key,
        secure=False,
        region=REGION,
        http_client=http,
    )
    try:
        client.list_buckets()
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        reason = f"127.0.0.1:{port}: {error}"
        raise NotReady(reason) from error
    finally:
        http.clear()
