"""What one embedded stack is made of: its folder, ports and parts; and the folder's layout."""

import fcntl
import os
import pwd
from pathlib import Path
from typing import IO

import msgspec

from deploy.errors import StackError
from deploy.ports import free_port

LOOPBACK = "127.0.0.1"


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """One port for each listener; 0 means any free one."""

    origin: int = 8000
    ingest: int = 8001
    catalog: int = 8002
    processor: int = 8003
    metrics: int = 8009
    nats: int = 4222
    s3: int = 9000
    # Not 5432: a machine that has PostgreSQL already has it there.
    postgres: int = 54320


ANY_PORTS = Ports(origin=0, ingest=0, catalog=0, processor=0, metrics=0, nats=0, s3=0, postgres=0)


class StackConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to build one embedded stack.

    `separate` runs ingest and catalog as processes of their own behind a proxying origin, as outage
    tests need; otherwise one origin process mounts both. `durable=False` skips fsync, for tests. `seed` registers
    the demo entities.
    """

    data: Path
    ports: Ports = Ports()
    services: bool = True
    separate: bool = False
    durable: bool = True
    seed: bool = False
    # Environment variables of the services on top of what the stack sets.
    environment: dict[str, str] = {}


def chosen(ports: Ports) -> Ports:
    """The same ports with every 0 replaced by a free one."""
    named = msgspec.structs.asdict(ports)
    taken = {port for port in named.values() if port}
    return Ports(**{name: port or free_port(taken) for name, port in named.items()})


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """Layout of a data folder."""

    root: Path

    @property
    def media(self) -> Path:
        return self.root / "media"

    @property
    def nats(self) -> Path:
        return self.root / "nats"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def credentials(self) -> Path:
        return self.root / "credentials.json"

    @property
    def state(self) -> Path:
        return self.root / "stack.json"

    def make(self) -> None:
        """Create what is missing, closed to other users; StackError where another user made what is there."""
        self._require_own()
        # Others may pass through the root but not list it: the database server may run as another user.
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        for part in (self.media, self.nats, self.logs):
            part.mkdir(mode=0o700, exist_ok=True)

    def _require_own(self) -> None:
        if os.geteuid() == 0:
            return
        for part in (self.root, self.media, self.nats, self.logs, self.postgres, self.credentials):
            owner = part.stat().st_uid if part.exists() else os.geteuid()
            if owner != os.geteuid():
                raise StackError(
                    f"{part} belongs to {account_name(owner)}, who ran the stack on {self.root} before, and you are"
                    f" {account_name(os.geteuid())}: run it as the same user, or choose another folder with --data."
                )

    def lock(self) -> IO[str]:
        """Take the folder for this process; StackError when another stack has it. Closing the file lets it go."""
        file = (self.root / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            file.close()
            raise StackError(
                f"a stack is already running on {self.root} (pid {pid}). Use it as it is, stop it with Ctrl-C or"
                f" `kill {pid}`, or run another one with --data FOLDER and other ports."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return file


def account_name(uid: int) -> str:
    """The login name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
