"""What rows hang on: known to the server, or registered there before the first row that needs it."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from shared.cli.client import Client
from shared.cli.failures import Refused
from shared.cli.importing.row import Entity


class Entities:
    """Each is asked for once. `register`: what the server does not know is registered, with its owner where the export
    says who that is; what it knows stays as it is."""

    def __init__(self, client: Client, *, register: bool) -> None:
        self._client = client
        self._register = register
        self._asked: dict[tuple[str, str], asyncio.Task[bool]] = {}
        self.registered: set[tuple[str, str]] = set()

    async def known(self, entity: Entity, may_register: Callable[[], Awaitable[object]]) -> bool:
        """Whether the server knows it, or does now; `may_register` raises what keeps it from being registered. Raises
        Refused, Unreachable."""
        name = (entity.type, entity.id)
        if name not in self._asked:
            self._asked[name] = asyncio.ensure_future(self._ask(entity, may_register))
        try:
            return await asyncio.shield(self._asked[name])
        except BaseException:
            self._asked.pop(name, None)
            raise

    async def _ask(self, entity: Entity, may_register: Callable[[], Awaitable[object]]) -> bool:
        path = f"/v1/entities/{quote(entity.type, safe='')}/{quote(entity.id, safe='')}"
        try:
            await self._client.ask("GET", path)
        except Refused as error:
            if error.answered != 404:
                raise
        else:
            return True
        if not self._register:
            return False
        await may_register()
        body = {"owners": entity.owners, "admins": (), "display_id": entity.display_id}
        await self._client.ask("PUT", path, body=body)
        self.registered.add((entity.type, entity.id))
        return True
