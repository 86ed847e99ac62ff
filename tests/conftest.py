"""Makes the fixtures of every test known; each file of tests/fixtures says what it gives."""

pytest_plugins = [
    "tests.fixtures.logs",
    "tests.fixtures.servers",
    "tests.fixtures.sharing",
    "tests.fixtures.stack",
    "tests.fixtures.system",
    "tests.fixtures.thrift",
    "tests.fixtures.running",
]
