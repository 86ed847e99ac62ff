"""Tests of the containers themselves; collected only where STACK=compose, which `make test-compose` sets."""

from tests.fixtures.system import IN_CONTAINERS

if not IN_CONTAINERS:
    collect_ignore_glob = ["test_*.py"]
