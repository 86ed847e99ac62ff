"""What a request for an upload is refused for before its form is read: what its address and its token say, and what is
left for its owner. So who asks first (`Expect: 100-continue`) is not asked for a body in vain.
"""

from services.ingest import rules, taking
from services.ingest.attempt import Wish
from services.ingest.charging import own_limits
from services.ingest.context import Ingest
from shared import profiles


async def check_address(ingest: Ingest, wish: Wish) -> None:
    """Raises Forbidden, NotFound, Invalid where no form that comes to this address could be taken of this caller."""
    reading = wish.reading
    if reading is None or not reading.profile_known({}):
        return
    options = reading.parse({}, complete=False)
    profile = profiles.find(ingest.settings.profiles, options.profile)
    rules.check_caller(wish.caller, profile, options.profile)
    await taking.check_entity(ingest, wish.caller, options, profile)


async def check_batch(ingest: Ingest, wish: Wish) -> None:
    """Raises RateExceeded, QuotaExceeded where not one file of a form could be taken.

    With a key its files may have been taken before: then they are answered, whatever is left.
    """
    if wish.key is not None or wish.caller.governs:
        return
    ingest.rates.check(wish.owner)
    limits = own_limits(ingest.settings.quota, wish.caller)
    if limits.limited:
        await ingest.quota.check(wish.owner, limits)
