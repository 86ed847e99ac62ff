"""Reads settings from environment variables; every wrong one is named, all of them at once."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from shared.errors import SettingsError

MIN_SECRET_BYTES = 32

# What the older systems called the same thing; docs/settings-of-older-systems.md tells of all their names. Taken
# where ours is not set, in this order. ENVIRONMENT is not among them: a shell that has it for another purpose could
# take the need of secrets away.
ALIASES: dict[str, tuple[str, ...]] = {
    "TRIPOD_BASE_URL": ("BASE_URL",),
    "TRIPOD_CONTENT_MAX_BYTES": ("MAX_UPLOAD_SIZE",),
    "TRIPOD_LIBRARY_MAX_BYTES": ("MAX_FILE_SIZE",),
    "TRIPOD_LOG_LEVEL": ("LOG_LEVEL",),
    "TRIPOD_S3_ACCESS_KEY": ("S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    "TRIPOD_S3_BUCKET": ("S3_BUCKET_NAME", "AWS_STORAGE_BUCKET_NAME"),
    "TRIPOD_S3_ENDPOINT": ("S3_ENDPOINT_URL",),
    "TRIPOD_S3_REGION": ("S3_REGION", "AWS_REGION", "AWS_S3_REGION_NAME"),
    "TRIPOD_S3_SECRET_KEY": ("S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
}


class Env:
    """Collects values and complaints. Call `check` after the last read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._complaints: list[str] = []
        self.development = (
            self.choice("TRIPOD_ENV", "production", ("production", "development")) == "development"
        )

    def text(self, name: str, default: str) -> str:
        return self._environ.get(self._set(name), "").strip() or default

    def _set(self, name: str) -> str:
        """The variable that holds this setting: `name`, or an alias where that is empty or absent."""
        names = (name, *ALIASES.get(name, ()))
        return next((each for each in names if self._environ.get(each, "").strip()), name)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of `allowed`, which are lower case; it may be written in capitals."""
        value = self.text(name, default)
        if value.lower() not in allowed:
            self.complain(name, value, f"one of {', '.join(allowed)}")
            return default
        return value.lower()

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
            self._complaints.append(f"{self._set(name)} is not a URL of the form {schemes[0]}://host[:port]")
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
        """Note a wrong value. The variable is named that was set, which may be an alias of `name`."""
        self._complaints.append(f"{self._set(name)} is {value!r}; allowed is {allowed}")

    def check(self) -> None:
        """Raise SettingsError that names every wrong variable, or return."""
        if self._complaints:
            raise SettingsError("; ".join(self._complaints) + ".")
