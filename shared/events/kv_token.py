"""Foreign text as a key of a bucket."""

import base64
import re

_KEY = re.compile(r"(?!\.)[-/_=.a-zA-Z0-9]+(?<!\.)")


def kv_token(text: str) -> str:
    """A reversible spelling of any text within the alphabet of keys (base64url without padding, `=` for none)."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") or "="


def check_key(key: str) -> None:
    """Raises ValueError for what cannot be a key: that is a mistake of the caller, no retry helps."""
    if not _KEY.fullmatch(key) or ".." in key:
        raise ValueError(f"{key!r} cannot be a key of a bucket; make foreign text safe with kv_token.")
