"""Foreign text as a key of a bucket."""

import base64


def kv_token(text: str) -> str:
    """A reversible spelling of any text within the alphabet of keys (base64url without padding, `=` for none)."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") or "="
