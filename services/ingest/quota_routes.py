"""`GET /v1/quota`: what an owner uses, may use, and has left."""

from dataclasses import dataclass

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.spec import Operation
from litestar.params import FromQuery

from services.ingest.accounts import left
from services.ingest.charging import own_limits
from services.ingest.context import Ingest
from services.ingest.openapi import QUOTA_RESPONSES
from services.ingest.requests import AnyRequest
from shared.auth import Caller, may_be_sub
from shared.errors import Forbidden, Invalid, Unavailable


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """`reserved` is the part of `used` that uploads under way may still give back; without a limit `limit` and `left`
    are null."""

    used: int
    reserved: int
    limit: int | None
    left: int | None


class QuotaView(msgspec.Struct, frozen=True, kw_only=True):
    """Originals count, variants do not."""

    owner: str
    bytes: Amount
    objects: Amount


@dataclass
class QuotaOperation(Operation):
    """`GET /v1/quota`."""

    def __post_init__(self) -> None:
        self.operation_id = "quota"
        self.summary = "Used and allowed bytes and objects"


@get("/v1/quota", operation_class=QuotaOperation, responses=QUOTA_RESPONSES, tags=["uploads"])
async def get_quota(
    request: AnyRequest, caller: NamedDependency[Caller], owner: FromQuery[str | None] = None
) -> Response[QuotaView]:
    """What the caller's media amount to, or another owner's for services and admins."""
    found = await quota_of(request.app.state.ingest, caller, owner)
    return Response(found, headers={"Cache-Control": "no-store"})


async def quota_of(ingest: Ingest, caller: Caller, owner: str | None) -> QuotaView:
    """Raises Invalid for what can be no owner, Forbidden for another's, Unavailable where nobody knows."""
    mine = caller.sub or ""
    asked = owner or mine
    if not may_be_sub(asked):
        raise Invalid(
            f"The owner {asked[:80]!r} is not valid; allowed are 1 to 255 characters without control characters.",
            field="owner",
        )
    if asked != mine and not caller.governs:
        raise Forbidden("Another owner's quota is for the service role; your token does not have it.")
    limits = own_limits(ingest.settings.quota, caller) if asked == mine else ingest.settings.quota
    if not limits.limited and not await ingest.quota.known(asked):
        # Nobody keeps a record of what has no limit.
        usage = await ingest.quota.count(asked, [], 0)
        if usage is None:
            raise Unavailable("What is used cannot be told while the catalog does not answer.", retry_after=2)
        return _view(asked, (usage.bytes, usage.objects), (0, 0), (0, 0))
    account = await ingest.quota.account(asked)
    if asked != mine and account.claimed is not None:
        limits = account.claimed
    used, held = account.used, account.held
    return _view(
        asked,
        (used.bytes, used.objects),
        (sum(held.values()), len(held)),
        (limits.bytes, limits.objects),
    )


def _view(owner: str, used: tuple[int, int], reserved: tuple[int, int], limits: tuple[int, int]) -> QuotaView:
    size, objects = (
        Amount(used=u, reserved=r, limit=limit or None, left=left(limit, u))
        for u, r, limit in zip(used, reserved, limits, strict=True)
    )
    return QuotaView(owner=owner, bytes=size, objects=objects)


ROUTES = (get_quota,)
