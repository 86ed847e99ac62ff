import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pillow_heif
import pytest
import pytest_asyncio

from services.processor.failures import Failure
from services.processor.fork_client import ENVIRONMENT
from services.processor.frames import Job, Limits, Result, StepDone
from services.processor.sandbox import Outcome, Sandbox
from tests.fixtures.pictures import bomb_png, encoded, photo, picture
from tests.fixtures.recipes import STANDARD
from tests.fixtures.waiting import eventually

pillow_heif.register_heif_opener()  # so that tests can write HEIC

SECRET = "a-secret-that-only-the-worker-may-know"


@contextmanager
def original(data: bytes) -> Iterator[int]:
    descriptor = os.memfd_create("original")
    try:
        os.write(descriptor, data)
        yield descriptor
    finally:
        os.close(descriptor)


def job(mime_type: str = "image/jpeg", **limits: float) -> Job:
    return Job(
        media_id="m",
        trace_id="trace-1",
        mime_type=mime_type,
        recipe=STANDARD,
        limits=Limits(**limits),  # type: ignore[arg-type]
    )


async def run(sandbox: Sandbox, data: bytes, asked: Job | None = None) -> Outcome:
    with original(data) as descriptor:
        return await sandbox.run(asked or job(), descriptor)


def failure(outcome: Outcome) -> Failure:
    assert isinstance(outcome.verdict, Failure), outcome.verdict
    assert outcome.verdict.detail.endswith(".")
    return outcome.verdict


together = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Sandbox]:
    """One fork server, until a test takes it down and the sandbox starts another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPOD_S3_SECRET_KEY", SECRET)
        async with Sandbox() as running:
            yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Iterator[Sandbox]:
    yield shared
    assert not shared.pids


class Stopped:
    """Stops the child at its first step, so that a test can look at it and do things to it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.pid = 0
        self.reached = asyncio.Event()

    async def __call__(self, _: StepDone) -> None:
        # It may say what it has done before the fork server says that it runs, or be through already: then there is
        # nothing to stop at this step.
        if not self.pid and self.sandbox.pids:
            (self.pid,) = self.sandbox.pids
            os.kill(self.pid, signal.SIGSTOP)
            self.reached.set()


async def stopped_job(
    sandbox: Sandbox, data: bytes, asked: Job | None = None
) -> tuple["asyncio.Task[Outcome]", Stopped]:
    """A job whose child stands still, with the task that waits for it. The picture is large enough to be caught, except
    on a machine so busy that the child is through before anybody hears of its first step: then another one is."""

    async def attend(stopped: Stopped) -> Outcome:
        with original(data) as descriptor:
            return await sandbox.run(asked or job(), descriptor, stopped)

    for _ in range(10):
        stopped = Stopped(sandbox)
        task = asyncio.create_task(attend(stopped))
        reached = asyncio.create_task(stopped.reached.wait())
        await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        if stopped.pid and exists(stopped.pid):
            return task, stopped
        await task
    raise AssertionError("No child could be stopped before its end.")


@pytest.fixture(scope="module")
def large() -> bytes:
    return encoded(picture(3000, 2000))


def state_of(pid: int) -> str:
    """Its letter in /proc; X for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "X"


def exists(pid: int) -> bool:
    """Alive and no zombie."""
    return state_of(pid) not in {"Z", "X"}


@together
async def test_a_photo_becomes_variants_in_a_child_of_its_own(sandbox: Sandbox) -> None:
    steps: list[StepDone] = []

    async def note(step: StepDone) -> None:
        steps.append(step)

    with original(photo(1200, 900)) as descriptor:
        outcome = await sandbox.run(job(), descriptor, note)
    assert isinstance(outcome.verdict, Result)
    assert len(outcome.verdict.variants) == 6
    assert outcome.verdict.exif["camera_make"] == "Tripod Works"
    assert [step.step for step in steps] == ["decode", "orient", "variants", "fingerprint", "exif"]
    assert {step.trace_id for step in steps} == {"trace-1"}
    assert outcome.cpu_milliseconds > 0
    assert outcome.peak_kib > 10_000


@together
async def test_many_jobs_run_at_once_and_keep_apart(sandbox: Sandbox) -> None:
    sizes = [(200 + 10 * index, 100) for index in range(12)]
    outcomes = await asyncio.gather(*(run(sandbox, encoded(picture(*size))) for size in sizes))
    assert [(o.verdict.width, o.verdict.height) for o in outcomes if isinstance(o.verdict, Result)] == sizes


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
        ("HEIF", "image/heic"),
    ],
)
@together
async def test_a_truncated_file_is_called_truncated(sandbox: Sandbox, kind: str, mime_type: str) -> None:
    data = encoded(picture(600, 400), kind)
    assert isinstance((await run(sandbox, data, job(mime_type))).verdict, Result)
    for percent in (50, 90):
        found = failure(await run(sandbox, data[: len(data) * percent // 100], job(mime_type)))
        assert (found.code, found.retryable) == ("truncated", False), found


@pytest.mark.parametrize(
    "mime_type",
    [
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "image/tiff",
        "image/avif",
        "image/heic",
        "image/bmp",
    ],
)
@together
async def test_text_named_like_a_picture_is_corrupt(sandbox: Sandbox, mime_type: str) -> None:
    text = b"this is text, whatever its name says\n" * 40
    found = failure(await run(sandbox, text, job(mime_type)))
    assert (found.code, found.retryable) == ("corrupt", False)
    assert mime_type in found.detail


@together
async def test_an_empty_file_is_truncated(sandbox: Sandbox) -> None:
    assert failure(await run(sandbox, b"")).code == "truncated"


@together
async def test_a_file_of_another_format_than_its_type_is_never_guessed(sandbox: Sandbox) -> None:
    assert failure(await run(sandbox, encoded(picture(90, 90), "PNG"))).code == "corrupt"
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"
    assert failure(await run(sandbox, svg, job("image/png"))).code == "corrupt"
    assert failure(await run(sandbox, svg, job("image/svg+xml"))).code == "unsupported"


@together
async def test_a_gigapixel_header_is_refused_by_its_dimensions(sandbox: Sandbox) -> None:
    outcome = await run(sandbox, bomb_png(), job("image/png"))
    found = failure(outcome)
    assert (found.code, found.retryable) == ("dimensions", False)
    assert "60000 x 60000" in found.detail
    assert outcome.peak_kib < 100_000


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
@together
async def test_invariant_8_a_crashing_decoder_costs_one_job(
    sandbox: Sandbox, large: bytes, number: signal.Signals
) -> None:
    task, stopped = await stopped_job(sandbox, large)
    neighbour = asyncio.create_task(run(sandbox, large))
    os.kill(stopped.pid, number)
    os.kill(stopped.pid, signal.SIGCONT)
    found = failure(await task)
    assert (found.code, found.retryable) == ("crash", True)
    assert f"signal {int(number)}" in found.log
    assert isinstance((await neighbour).verdict, Result)


@together
async def test_a_child_killed_from_outside_ran_out_of_memory(sandbox: Sandbox, large: bytes) -> None:
    # The kernel's killer sends SIGKILL, and nobody else does.
    task, stopped = await stopped_job(sandbox, large)
    os.kill(stopped.pid, signal.SIGKILL)
    found = failure(await task)
    assert (found.code, found.retryable) == ("memory", True)


@pytest.mark.parametrize(
    ("kind", "mime_type", "options"),
    [
        ("WEBP", "image/webp", {}),
        ("JPEG", "image/jpeg", {"progressive": True}),
        ("BMP", "image/bmp", {}),
        ("AVIF", "image/avif", {"speed": 10}),
    ],
)
@together
async def test_invariant_8_a_picture_that_needs_too_much_memory_is_called_memory(
    sandbox: Sandbox, kind: str, mime_type: str, options: dict[str, object]
) -> None:
    data = encoded(picture(4000, 3000), kind, **options)
    found = failure(await run(sandbox, data, job(mime_type, memory_bytes=20 * 2**20)))
    assert (found.code, found.retryable) == ("memory", False), found


@together
async def test_invariant_8_a_child_that_stands_still_is_a_timeout(sandbox: Sandbox, large: bytes) -> None:
    task, stopped = await stopped_job(sandbox, large, job(wall_seconds=1.5))
    found = failure(await task)
    assert (found.code, found.retryable) == ("timeout", True)
    assert not exists(stopped.pid)


@together
async def test_too_much_cpu_time_is_a_timeout(sandbox: Sandbox) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    # A valid 80-megapixel picture of a few hundred kilobytes, 16 bits deep, that takes seconds to read.
    width, height = 10_000, 8_000
    packer = zlib.compressobj(1)
    row = b"\4" + bytes(range(256)) * (width * 6 // 256) + bytes(width * 6 % 256)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    found = failure(await run(sandbox, data, job("image/png", cpu_seconds=1)))
    assert (found.code, found.retryable) == ("timeout", False)


@together
async def test_cancelling_a_job_kills_its_child(sandbox: Sandbox, large: bytes) -> None:
    task, stopped = await stopped_job(sandbox, large)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not exists(stopped.pid)
    assert isinstance((await run(sandbox, large)).verdict, Result)


@together
async def test_the_death_of_the_fork_server_interrupts_jobs_and_is_repaired(
    sandbox: Sandbox, large: bytes
) -> None:
    task, stopped = await stopped_job(sandbox, large)
    server = sandbox.server_pid
    assert server is not None
    os.kill(server, signal.SIGKILL)
    found = failure(await task)
    assert (found.code, found.retryable) == ("interrupted", True)
    eventually(lambda: not exists(stopped.pid), "the child of a dead fork server to be gone")
    assert isinstance((await run(sandbox, large)).verdict, Result)
    assert sandbox.server_pid != server


@together
async def test_a_fork_server_that_hangs_is_replaced(
    sandbox: Sandbox, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.processor.sandbox._REAP_SECONDS", 0.2)
    server = sandbox.server_pid
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    assert failure(await run(sandbox, large, job(wall_seconds=0.3))).code == "interrupted"
    assert isinstance((await run(sandbox, large)).verdict, Result)
    assert not exists(server)


@together
async def test_a_hundred_jobs_leave_no_descriptor_and_no_process(sandbox: Sandbox) -> None:
    small, broken = encoded(picture(64, 48)), encoded(picture(64, 48))[:300]
    await run(sandbox, small)

    def descriptors(pid: int | str) -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    server = sandbox.server_pid
    assert server is not None
    before = descriptors("self"), descriptors(server)
    for _ in range(10):
        await asyncio.gather(*(run(sandbox, data) for data in (small, broken) * 5))
    assert (descriptors("self"), descriptors(server)) == before
    assert sandbox.pids == ()
    assert children_of(server) == []


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@together
async def test_a_child_has_no_secrets_no_rights_and_no_network(sandbox: Sandbox, large: bytes) -> None:
    task, stopped = await stopped_job(sandbox, large)
    proc, own = Path(f"/proc/{stopped.pid}"), Path("/proc/self/ns")
    environment = (proc / "environ").read_bytes()
    assert SECRET.encode() not in environment
    assert {line.split(b"=")[0].decode() for line in environment.split(b"\0") if line} <= set(ENVIRONMENT) | {
        "LC_CTYPE"
    }
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    assert {name: status[name].strip() for name in ("NoNewPrivs", "Seccomp", "CapEff", "CapPrm")} == {
        "NoNewPrivs": "1",
        "Seccomp": "2",
        "CapEff": "0" * 16,
        "CapPrm": "0" * 16,
    }
    assert (proc / "ns/net").readlink() != own.joinpath("net").readlink()
    assert (proc / "ns/user").readlink() != own.joinpath("user").readlink()
    limits = {line[:26].strip(): line[26:].split()[0] for line in (proc / "limits").read_text().splitlines()}
    assert limits["Max core file size"] == "0"
    assert limits["Max cpu time"] == str(Limits().cpu_seconds)
    assert limits["Max address space"] != "unlimited"
    opened = [str(path.readlink()).split(":[")[0] for path in (proc / "fd").iterdir()]
    assert set(opened) == {"/dev/null", "socket", "/memfd:original (deleted)", "/memfd:stderr (deleted)"}
    assert opened.count("socket") == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


ATTEMPTS = """
    import ctypes, os, socket, sys
    from pathlib import Path
    worker, port = int(sys.argv[1]), int(sys.argv[2])
    from services.processor import guards, landlock, seccomp
    from services.processor.frames import Limits
    libc = ctypes.CDLL(None, use_errno=True)
    def clone():
        if libc.syscall(56 if os.uname().machine == "x86_64" else 220, 17, 0, 0, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), "clone")
    attempts = {
        "connect": lambda: socket.create_connection(("127.0.0.1", port), 1),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "unix": lambda: socket.socketpair(),
        "read": lambda: Path("/etc/hostname").read_text(),
        "environ": lambda: Path(f"/proc/{worker}/environ").read_bytes(),
        "write": lambda: Path(f"/tmp/tripod-escape-{worker}").write_text("x"),
        "list": lambda: os.listdir("/"),
        "fork": os.fork,
        "clone": clone,
        "execute": lambda: os.execv("/bin/true", ["true"]),
        "signal": lambda: os.kill(worker, 0),
    }
    def refuse(*_):
        raise OSError(1, "refused by this kernel")
    for name in sys.argv[3:]:
        module, function = name.split(".")
        setattr({"guards": guards, "landlock": landlock, "seccomp": seccomp}[module], function, refuse)
    missing = guards.apply(Limits(), parent=os.getppid())
    for name, attempt in attempts.items():
        try:
            attempt()
            os.write(1, f"{name}: done\\n".encode())
        except OSError:
            os.write(1, f"{name}: refused\\n".encode())
    try:
        bytearray(5 * 2**30)
        os.write(1, b"memory: done\\n")
    except MemoryError:
        os.write(1, b"memory: refused\\n")
    os.write(1, f"missing: {missing}\\n".encode())
"""


def attempts(*without: str) -> tuple[dict[str, str], str]:
    """What became of each attempt behind the guards, and which guards were reported missing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(ATTEMPTS), str(os.getpid()), port, *without],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    Path(f"/tmp/tripod-escape-{os.getpid()}").unlink(missing_ok=True)
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    missing = said.pop("missing", done.stderr)
    assert len(said) == 12, done.stderr
    return said, missing


def test_behind_the_guards_nothing_outside_can_be_reached() -> None:
    said, missing = attempts()
    assert missing == "[]"
    assert set(said.values()) == {"refused"}, said


@pytest.mark.parametrize(
    ("without", "name", "open_then"),
    [
        ("guards._leave_namespaces", "user namespace", set()),
        ("seccomp.shut", "seccomp", {"udp", "unix", "fork", "clone"}),
        ("landlock.shut", "landlock", {"read", "write", "list"}),
    ],
)
def test_a_missing_guard_is_named_and_the_others_hold(without: str, name: str, open_then: set[str]) -> None:
    # Containers often refuse user namespaces; then Landlock and seccomp are what keeps a child in.
    said, missing = attempts(without)
    assert missing == f"['{name} (refused by this kernel)']"
    assert {attempt for attempt, result in said.items() if result == "done"} == open_then


@together
async def test_a_child_of_bulk_work_leaves_the_processors_to_the_others(
    sandbox: Sandbox, large: bytes
) -> None:
    found: dict[bool, int] = {}
    for background in (False, True):
        task, stopped = await stopped_job(
            sandbox, large, msgspec.structs.replace(job(), background=background)
        )
        found[background] = os.getpriority(os.PRIO_PROCESS, stopped.pid)
        os.kill(stopped.pid, signal.SIGCONT)
        assert isinstance((await task).verdict, Result)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert found == {False: ours, True: min(19, ours + 10)}


WORKER = """
    import asyncio, os, signal, sys
    from services.processor.frames import Job
    from tests.fixtures.recipes import STANDARD
    from services.processor.sandbox import Sandbox

    async def main():
        async with Sandbox() as sandbox:
            async def stop(_):
                (child,) = sandbox.pids
                os.kill(child, signal.SIGSTOP)
                print(sandbox.server_pid, child, flush=True)
            job = Job(media_id="m", trace_id="t", mime_type="image/jpeg", recipe=STANDARD)
            await sandbox.run(job, os.open(sys.argv[1], os.O_RDONLY), stop)

    asyncio.run(main())
"""


def test_a_killed_worker_leaves_no_process(tmp_path: Path, large: bytes) -> None:
    picture_file = tmp_path / "large.jpg"
    picture_file.write_bytes(large)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), str(picture_file)], stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        # The first line may be the log's.
        line = next(line for line in worker.stdout if line.replace(" ", "").strip().isdigit())
        server, child = (int(word) for word in line.split())
        assert exists(server)
        assert exists(child)
        worker.kill()
    eventually(lambda: not exists(server), "the fork server of a killed worker to be gone")
    eventually(lambda: not exists(child), "the stopped child of a killed worker to be gone")


@together
async def test_closing_ends_the_fork_server_and_the_children(large: bytes) -> None:
    sandbox = Sandbox()
    task, stopped = await stopped_job(sandbox, large)
    server = sandbox.server_pid
    assert server is not None
    started = time.monotonic()
    await sandbox.close()
    assert failure(await task).code == "interrupted"
    assert time.monotonic() - started < 5
    assert not exists(server)
    eventually(lambda: not exists(stopped.pid), "the child to be gone")
