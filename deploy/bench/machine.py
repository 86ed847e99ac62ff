"""What the benchmark runs on: processor, memory, and the versions of everything that takes part."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from deploy.servers.nats import binary

_LIBRARIES = ("litestar", "uvicorn", "aiohttp", "minio", "nats-py", "pyvips-binary", "pillow", "psycopg")
_SERVERS = {"nats-server": "--version", "rclone": "version"}


def describe() -> dict[str, str]:
    """One line each; the load is that of the minute before, which says how far single figures can be believed."""
    memory = psutil.virtual_memory()
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores{', SHA instructions' if _has_sha() else ''}",
        "memory": f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} free",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "servers": ", ".join([_answer(binary(name), option) for name, option in _SERVERS.items()]),
        "curl": _answer("curl", "--version"),
    }


def _processor() -> str:
    return next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), "unknown"
    )


def _has_sha() -> bool:
    return any(line.startswith("flags") and " sha_ni" in line for line in _cpuinfo())


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.exists() else []


def _answer(program: str, option: str) -> str:
    said = subprocess.run([program, option], capture_output=True, text=True, check=True).stdout
    return " ".join(said.split()[:3])
