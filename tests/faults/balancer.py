"""The least that a load balancer does: one upstream after the other, the next one where nobody listens.

It knows nothing of HTTP, sends nothing twice and hides no failure: what a replica breaks off, the client sees broken.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Iterator

from deploy.config import LOOPBACK


@contextlib.contextmanager
def balanced(ports: list[int]) -> Iterator[str]:
    """The URL of a balancer over these ports, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="balancer")
    thread.start()
    turns = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(turns)
        for number in range(len(ports)):
            try:
                there = await asyncio.open_connection(LOOPBACK, ports[(first + number) % len(ports)])
            except OSError:
                continue
            await asyncio.gather(_pipe(reader, there[1]), _pipe(there[0], writer))
            return
        writer.close()

    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, LOOPBACK, 0), loop).result()
    try:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
