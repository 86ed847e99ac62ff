"""From the upload's first byte to `ready`, through all three services: alone, and behind somebody else's backlog."""

import json
import time
from collections.abc import Iterator

import urllib3

from deploy.bench import backlog, photos, system
from deploy.bench.results import Row, Setting, Target, alone, compared
from deploy.stack import EmbeddedStack

POLL_SECONDS = 0.01
PATIENCE_SECONDS = 60
GROUP = "end to end, upload to ready"
TARGET = Target(sense="at most", ratio=3.0)


def measure(setting: Setting) -> Iterator[Row]:
    """The same uploads idle and behind a backlog, of a user who has none."""
    many, waiting = (7, 2_000) if setting.quick else (20, 10_000)
    picture = photos.encoded(photos.pixels(1600, 1200), "JPEG", quality=88)
    with system.running(setting.folder) as stack:
        _one(stack, picture)  # the first one starts the fork server's libraries
        setting.console.print(f"[dim]{many} uploads, idle[/]", highlight=False)
        idle = [_one(stack, picture) for _ in range(many)]
        yield alone(GROUP, f"idle, 2 MP JPEG, median of {many}", idle, "ms")
        setting.console.print(f"[dim]{many} uploads behind a backlog of {waiting:,}[/]", highlight=False)
        stack.stop("processor")
        backlog.pile_up(stack, picture, waiting)
        stack.start("processor")
        # Right away: the flood's own fresh ones are part of what others meet.
        behind = [_one(stack, picture) for _ in range(many)]
        left = backlog.waiting(stack)
        yield compared(
            GROUP, f"another owner's backlog of {waiting:,}, median of {many}", behind, "ms", baseline="idle",
            against=idle, target=TARGET,
            note=f"{left:,} of it were still waiting afterwards; the first {behind[0]:.0f} ms, the slowest "
            f"{max(behind):.0f} ms",
        )  # fmt: skip


def _one(stack: EmbeddedStack, picture: bytes) -> float:
    """Milliseconds. Raises TimeoutError when it does not become ready."""
    token = {"Authorization": f"Bearer {stack.token('ann')}"}
    with urllib3.PoolManager(retries=False) as http:
        started = time.perf_counter()
        answer = http.request(
            "PUT", f"{stack.ingest_url}/v1/uploads/raw/photo.jpg", body=picture, headers=token
        )
        if answer.status not in {201, 202}:
            raise RuntimeError(f"the upload was answered {answer.status}: {answer.data[:500]!r}")
        media = json.loads(answer.data)
        while time.perf_counter() - started < PATIENCE_SECONDS:
            seen = http.request("GET", f"{stack.catalog_url}/v1/media/{media['id']}", headers=token)
            if seen.status == 200 and json.loads(seen.data)["status"] == "ready":
                return (time.perf_counter() - started) * 1000
            time.sleep(POLL_SECONDS)
    raise TimeoutError(f"not ready after {PATIENCE_SECONDS} s: {seen.data[:500]!r}")
