"""Reads settings from environment variables; every wrong one is named, all of them at once."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from shared.errors import SettingsError

MIN_SECRET_BYTES = 32


class Env:
    """Collects values and complaints. Call `check` after the last read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._complaints: list[str] = []
        self.development = (
            self.choice("TRIPOD_ENV", "production", ("production", "development")) == "development"
        )

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            self.complain(name, value, f"one of {', '.join(allowed)}")
            return default
        return value

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        raw = self.text(name, str(default))
        try:
            value = int(raw)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            self.complain(name, raw, f"a whole number from {least} to {most}")
            return default
        return value

    def seconds(self, name: str, default: float, *, least: float, most: float) -> float:
        raw = self.text(name, str(default))
        try:
            value = float(raw)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            self.complain(name, raw, f"a number of seconds from {least:g} to {most:g}")
            return default
        return value

    def url(self, name: str, default: str, *, schemes: tuple[str, ...]) -> str:
        value = self.text(name, default).rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.netloc:
            # The value may hold a password, so it is not repeated.
            self._complaints.append(f"{name} is not a URL of the form {schemes[0]}://host[:port]")
        return value

    def secret(self, name: str, *, required: bool = True) -> str:
        """A secret of at least 32 bytes; outside of production a shorter or missing one is the caller's risk."""
        value = self._environ.get(name, "")
        if not value and not required:
            return ""
        if not self.development and len(value.encode()) < MIN_SECRET_BYTES:
            had = f"{len(value.encode())} bytes long" if value else "missing"
            self._complaints.append(
                f"{name} is {had}; at least {MIN_SECRET_BYTES} bytes are needed (openssl rand -hex 32)"
            )
        return value or "development-only-secret-of-32-bytes!"

    def complain(self, name: str, value: str, allowed: str) -> None:
        self._complaints.append(f"{name} is {value!r}; allowed is {allowed}")

    def check(self) -> None:
        """Raise SettingsError that names every wrong variable, or return."""
        if self._complaints:
            raise SettingsError("; ".join(self._complaints) + ".")
