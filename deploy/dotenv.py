"""`python -m deploy.dotenv [FILE]`: writes the settings of Compose, .env, from .env.example with fresh secrets."""

import os
import re
import secrets
import string
import sys
from pathlib import Path

from deploy.services import PROJECT

EXAMPLE = PROJECT / ".env.example"
_EMPTY_SECRET = re.compile(r"^(\w+_(?:SECRET|PASSWORD))=$", re.MULTILINE)


def filled(example: str) -> str:
    """The example with a random value for every empty secret."""
    return _EMPTY_SECRET.sub(lambda found: f"{found[1]}={secret()}", example)


def secret() -> str:
    """40 letters and digits, the most that every S3 store takes, and 230 bits.

    A letter comes first: the broker's configuration grammar reads what begins with a digit as a number.
    """
    rest = (secrets.choice(string.ascii_letters + string.digits) for _ in range(39))
    return secrets.choice(string.ascii_letters) + "".join(rest)


def write(file: Path) -> None:
    """Write the settings, readable by their owner only. FileExistsError rather than losing secrets in use."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(filled(EXAMPLE.read_text()))


def read(file: Path) -> dict[str, str]:
    """The settings of such a file. Knows no quoting, as nothing that we write needs any."""
    lines = (line.strip() for line in file.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def main(arguments: list[str]) -> int:
    file = Path(arguments[0]) if arguments else PROJECT / ".env"
    try:
        write(file)
    except FileExistsError:
        sys.stderr.write(f"{file} is there already and was left as it is; its secrets may be in use.\n")
        return 1
    sys.stdout.write(f"wrote {file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
