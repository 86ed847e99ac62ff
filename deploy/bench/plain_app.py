"""The baseline most people would write: Litestar's UploadFile, then the minio SDK in a thread."""

import asyncio
import os
import sys
import uuid
from typing import Annotated, BinaryIO, cast

import uvicorn
from litestar import Litestar, Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body
from minio import Minio

BUCKET = os.environ.get("BENCH_BUCKET", "")


def _client() -> Minio:
    return Minio(
        os.environ["BENCH_ENDPOINT"],
        access_key=os.environ["BENCH_ACCESS_KEY"],
        secret_key=os.environ["BENCH_SECRET_KEY"],
        secure=False,
        region="us-east-1",
    )


def create_app(client: Minio) -> Litestar:
    """An app that stores what it is sent, and nothing else: no events, no digest, no limits."""

    @post("/uploads", request_max_body_size=None)
    async def store(
        data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)],
    ) -> Response[dict[str, str]]:
        data.file.seek(0, os.SEEK_END)
        size = data.file.tell()
        data.file.seek(0)
        key = f"plain/{uuid.uuid4()}"
        await asyncio.to_thread(
            client.put_object, BUCKET, key, cast("BinaryIO", data.file), size, content_type=data.content_type
        )
        return Response({"key": key}, status_code=201)

    @get("/health/ready", sync_to_thread=False)
    def ready() -> str:
        return "ready"

    return Litestar([store, ready], openapi_config=None, logging_config=None)


if __name__ == "__main__":
    uvicorn.run(
        create_app(_client()), port=int(sys.argv[1]), loop="uvloop", http="httptools", log_config=None
    )
