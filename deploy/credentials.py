"""The random secrets of one embedded stack: made once, kept in the data folder, readable by its owner only."""

import os
import secrets
from pathlib import Path

import msgspec


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Every secret of one embedded stack."""

    postgres_admin: str
    postgres: str
    nats: str
    s3_access_key: str
    s3_secret_key: str
    jwt_secret: str
    link_secret: str


def load_or_make(file: Path) -> Credentials:
    """The secrets in `file`; where it is missing, new ones are written there with mode 0600."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Credentials)
    except FileNotFoundError:
        made = make()
    # Never a moment in which another user could read them.
    draft = file.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(made)))
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
    return made


def make() -> Credentials:
    """New random secrets."""
    return Credentials(
        postgres_admin=secrets.token_hex(24),
        postgres=secrets.token_hex(24),
        # The broker's configuration grammar wants a letter in front.
        nats="n" + secrets.token_hex(24),
        s3_access_key="tripod" + secrets.token_hex(7),
        s3_secret_key=secrets.token_hex(24),
        jwt_secret=secrets.token_hex(32),
        link_secret=secrets.token_hex(32),
    )
