"""How many files and sockets this process may have open: as many as its live connections need."""

import resource

import structlog

log = structlog.get_logger()

BESIDE = 1024
"""What everything else needs: requests, the store, the database, the broker."""


def make_room(connections: int) -> bool:
    """Raise the soft limit where it is too low, as far as the hard one lets us; whether that is enough. It is said at
    the start where it is not, because a process without descriptors cannot even take the call that would tell."""
    needed = connections + BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return True
    reachable = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if reachable > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    if reachable < needed:
        log.warning(
            "live.too_few_descriptors", allowed=reachable, needed=needed, setting="TRIPOD_LIVE_CONNECTIONS"
        )
    return reachable >= needed
