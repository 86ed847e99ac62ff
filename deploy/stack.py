"""The embedded stack: servers and services as child processes, started in order, watched, and stopped together."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import IO, Self

import msgspec

from deploy import credentials, seed, services, tokens
from deploy.child import Child, ChildSpec, never
from deploy.config import LOOPBACK, Folder, StackConfig, chosen
from deploy.errors import StackError
from deploy.ports import require_free
from deploy.servers import nats, postgres, s3

# Both together stay below the ten seconds in which a stop has to be over.
SERVICES_STOP_SECONDS = 7.0
SERVERS_STOP_SECONDS = 2.0
MIGRATION_SECONDS = 120
WATCH_SECONDS = 0.25

SERVERS = ("postgres", "nats", "s3")


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a running stack tells other commands of this folder (`stack.json`)."""

    pid: int
    url: str
    ports: dict[str, int]


class EmbeddedStack:
    """One stack over one data folder; use it as a context manager, or call `start` and `close`.

    Not for several threads at once. Every child dies with this process, however that ends.
    """

    def __init__(self, config: StackConfig, cancelled: Callable[[], bool] = never) -> None:
        self.config = config
        self._cancelled = cancelled
        self.folder = Folder(root=config.data.resolve())
        self.ports = chosen(config.ports)
        self.children: dict[str, Child] = {}
        self._stopped: set[str] = set()
        self._spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
        self._lock: IO[str] | None = None
        self.secrets: credentials.Credentials

    def __enter__(self) -> Self:
        try:
            self.start_all()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- addresses -----------------------------------------------------------------------------------

    @property
    def origin_url(self) -> str:
        """Where clients go."""
        return f"http://localhost:{self.ports.origin}"

    @property
    def ingest_url(self) -> str:
        """The ingest service alone, where it is a process of its own."""
        return f"http://{LOOPBACK}:{self.ports.ingest}"

    @property
    def catalog_url(self) -> str:
        """The catalog service alone, where it is a process of its own."""
        return f"http://{LOOPBACK}:{self.ports.catalog}"

    @property
    def processor_url(self) -> str:
        """The processor's health and metrics."""
        return f"http://{LOOPBACK}:{self.ports.processor}"

    def token(self, sub: str, *roles: str, **claims: object) -> str:
        """A bearer token of this stack for that caller, valid for 30 days."""
        return tokens.make(self.secrets.jwt_secret, sub, roles, claims)

    @property
    def nats_url(self) -> str:
        return nats.url(self.ports.nats, self.secrets.nats)

    @property
    def s3_endpoint(self) -> str:
        return s3.endpoint(self.ports.s3)

    @property
    def database_url(self) -> str:
        """The services' database, as SQLAlchemy wants it."""
        return postgres.owner_url(self.ports.postgres, self.secrets.postgres)

    @property
    def admin_dsn(self) -> str:
        """The database superuser, as psycopg wants it."""
        return postgres.admin_dsn(self.ports.postgres, self.secrets.postgres_admin)

    # -- the whole -----------------------------------------------------------------------------------

    def start_all(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Start every part and return when all are ready.

        A busy port raises StackError before anything runs; Cancelled when `cancelled` says so meanwhile.
        """
        self.folder.make()
        self._lock = self.folder.lock()
        require_free(self._listeners())
        self.secrets = credentials.load_or_make(self.folder.credentials)
        progress("preparing the database folder")
        postgres.prepare(self.folder.postgres, self.secrets.postgres_admin, durable=self.config.durable)
        self._start_group(self._server_specs(), progress)
        postgres.ensure_owner(self.ports.postgres, self.secrets.postgres_admin, self.secrets.postgres)
        if self.config.services:
            progress("applying migrations")
            self.migrate()
            self._start_group(services.specs(self), progress)
        if self.config.services and self.config.seed:
            progress("seeding the demo entities")
            seed.seed(self.origin_url, self.token("stack", "service"))
        self._write_state()

    def close(self) -> None:
        """Stop everything, services before servers, in at most ten seconds; nothing is left running."""
        if self._lock is not None:
            self.folder.state.unlink(missing_ok=True)
        self._stop_group([name for name in self.children if name not in SERVERS], SERVICES_STOP_SECONDS)
        self._stop_group([name for name in self.children if name in SERVERS], SERVERS_STOP_SECONDS)
        self._spawner.shutdown()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def watch(self, until: Callable[[], bool]) -> None:
        """Return when `until` says so; StackError as soon as a child has ended that nobody stopped."""
        while not until():
            for name, child in self.children.items():
                if not child.alive and name not in self._stopped:
                    raise StackError(child.obituary())
                child.bound_log()
            time.sleep(WATCH_SECONDS)

    def migrate(self, extra: dict[str, str] | None = None) -> None:
        """Bring the database to the newest revision; `extra` may name another one by TRIPOD_DATABASE_URL."""
        child = Child(services.migration(self, extra or {}), self.folder.logs / "migrate.log")
        child.start(self._spawner)
        try:
            child.finish(MIGRATION_SECONDS, self._cancelled)
        finally:
            child.kill()

    # -- single parts --------------------------------------------------------------------------------

    def stop(self, name: str, number: int | None = None, *, seconds: float = 5.0) -> None:
        """Stop one part and wait for its end; `signal.SIGKILL` takes it down hard, with every process below it."""
        child = self.child(name)
        self._stopped.add(name)
        if number != signal.SIGKILL:
            child.signal(number or child.spec.stop_signal)
            child.wait(seconds)
        child.kill()

    def start(self, name: str) -> None:
        """Start a stopped part again on its port and wait until it is ready."""
        child = self.child(name)
        child.start(self._spawner)
        child.wait_ready()
        self._stopped.discard(name)

    def child(self, name: str) -> Child:
        """The part of that name; StackError lists the names when there is none."""
        if name not in self.children:
            message = f"no part is named {name!r}; there are {', '.join(self.children)}"
            raise StackError(message)
        return self.children[name]

    # -- inside --------------------------------------------------------------------------------------

    def _listeners(self) -> dict[str, int]:
        ports = self.ports
        listeners = {"PostgreSQL": ports.postgres, "NATS": ports.nats, "S3 store": ports.s3}
        if self.config.services:
            listeners |= {
                "origin": ports.origin,
                "processor health": ports.processor,
                "metrics": ports.metrics,
            }
        if self.config.services and self.config.separate:
            listeners |= {"ingest": ports.ingest, "catalog": ports.catalog}
        return listeners

    def _server_specs(self) -> list[ChildSpec]:
        secrets, ports, folder = self.secrets, self.ports, self.folder
        return [
            postgres.spec(
                folder.postgres, ports.postgres, secrets.postgres_admin, durable=self.config.durable
            ),
            nats.spec(folder.nats, ports.nats, secrets.nats),
            s3.spec(folder.media, ports.s3, secrets.s3_access_key, secrets.s3_secret_key),
        ]

    def _start_group(self, specs: list[ChildSpec], progress: Callable[[str], None]) -> None:
        """Start all, then wait for each: they come up beside each other."""
        for spec in specs:
            child = Child(spec, self.folder.logs / f"{spec.name}.log")
            self.children[spec.name] = child
            child.start(self._spawner)
        for spec in specs:
            progress(f"waiting for {spec.name}")
            self.children[spec.name].wait_ready(self._cancelled)

    def _stop_group(self, names: list[str], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for name in names:
            self._stopped.add(name)
            self.children[name].signal(self.children[name].spec.stop_signal)
        for name in names:
            self.children[name].wait(deadline - time.monotonic())
            self.children[name].kill()

    def _write_state(self) -> None:
        state = State(pid=os.getpid(), url=self.origin_url, ports=msgspec.structs.asdict(self.ports))
        draft = self.folder.state.with_suffix(".new")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
        draft.replace(self.folder.state)
