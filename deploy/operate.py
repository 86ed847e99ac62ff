"""The environment by which an operator's commands reach a running stack."""

from pathlib import Path

import msgspec

from deploy.config import Folder, Ports, StackConfig
from deploy.credentials import load_or_make
from deploy.errors import StackError
from deploy.services import environment, inherited
from deploy.stack import EmbeddedStack, State


def operator_environment(data: Path) -> dict[str, str]:
    """That of the stack on this folder. Raises StackError when none is running there."""
    folder = Folder(root=data.resolve())
    if not folder.state.exists():
        raise StackError(f"no stack is running on {folder.root}: start one with `make run`")
    state = msgspec.json.decode(folder.state.read_bytes(), type=State)
    stack = EmbeddedStack(StackConfig(data=data, ports=msgspec.convert(state.ports, Ports)))
    stack.secrets = load_or_make(folder.credentials)
    return inherited() | environment(stack) | {"TRIPOD_URL": stack.origin_url}
