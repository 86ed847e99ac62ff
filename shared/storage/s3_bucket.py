"""Makes the bucket, with the minio SDK: it is synchronous, so call this in a thread."""

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from shared.errors import Unavailable
from shared.storage.s3_http import S3Settings

_THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def make_bucket(settings: S3Settings) -> None:
    """Make the bucket where it is absent. Raises Unavailable."""
    secure = settings.endpoint.startswith("https://")
    http = urllib3.PoolManager(timeout=urllib3.Timeout(10.0), retries=False)
    client = Minio(
        settings.endpoint.partition("://")[2],
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        secure=secure,
        region=settings.region,
        http_client=http,
    )
    try:
        if not client.bucket_exists(settings.bucket):
            client.make_bucket(settings.bucket)
    except S3Error as error:
        if error.code not in _THERE:
            raise Unavailable(
                f"The object store refuses to make the bucket {settings.bucket}: {error.code}."
            ) from error
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise Unavailable(
            f"The object store is not reachable ({type(error).__name__}): make the bucket {settings.bucket}."
        ) from error
    finally:
        http.clear()
