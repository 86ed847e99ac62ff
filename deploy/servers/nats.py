"""nats-server from its wheel: the process over a folder, and a probe that speaks the protocol."""

import json
import shutil
import socket
import sys
from pathlib import Path

from deploy.child import ChildSpec, NotReady, plain_env
from deploy.errors import StackError

CONFIGURATION = Path(__file__).parents[1] / "nats.conf"
USER = "tripod"


def spec(folder: Path, port: int, password: str) -> ChildSpec:
    """The server process; streams live in `folder`."""
    return ChildSpec(
        name="nats",
        command=(
            *(binary("nats-server"), "--config", str(CONFIGURATION), "--name", "tripod"),
            *("--addr", "127.0.0.1", "--port", str(port), "--store_dir", str(folder)),
        ),
        env=plain_env() | {"TRIPOD_NATS_PASSWORD": password},
        probe=lambda: probe(port, password),
    )


def url(port: int, password: str) -> str:
    """Address with user and password."""
    return f"nats://{USER}:{password}@127.0.0.1:{port}"


def probe(port: int, password: str) -> None:
    """Raise NotReady unless the server takes the password and JetStream answers a request."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            converse(connection, password)
    except OSError as error:
        reason = f"127.0.0.1:{port}: {error}"
        raise NotReady(reason) from error


def converse(connection: socket.socket, password: str) -> None:
    greeting = {
        "verbose": False,
        "pedantic": False,
        "user": USER,
        "pass": password,
        "name": "probe",
        "headers": True,
    }
    connection.sendall(
        f"CONNECT {json.dumps(greeting)}\r\nSUB probe 1\r\nPUB $JS.API.INFO probe 0\r\n\r\nPING\r\n".encode()
    )
    heard = b""
    while b'"io.nats.jetstream.api.v1.account_info_response"' not in heard:
        part = connection.recv(4096)
        heard += part
        if not part or b"-ERR" in heard or b'"error"' in heard or b" 503" in heard:
            reason = f"JetStream does not answer: {heard[-300:].decode(errors='replace').strip()}"
            raise NotReady(reason)


def binary(name: str) -> str:
    """Path of a program that a wheel put beside this Python, or else of one on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        message = f"{name} is neither beside {sys.executable} nor on PATH: install requirements.lock (`make run` does)"
        raise StackError(message)
    return found
