"""The AsyncAPI document says what the code says."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from shared.events import asyncapi, topology
from shared.events.messages import TYPES, Envelope
from shared.events.subjects import matches

DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asyncapi.document("1.2.3")))


def resolve(reference: str) -> Any:
    """What a reference points at. Raises KeyError where that is nothing."""
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def addresses() -> list[str]:
    return [channel["address"] for channel in DOCUMENT["channels"].values()]


def subject_of(address: str) -> str:
    """A subject as it is on the wire, with something in place of each parameter."""
    return re.sub(r"\{\w+\}", "x", address)


def test_it_is_asyncapi_3_of_this_version() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > 50
    for reference in found:
        resolve(reference)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_of_event_has_a_channel_an_operation_and_its_own_schema(name: str) -> None:
    message = resolve(f"#/channels/{name}/messages/{name}")
    payload = resolve(message["$ref"])["payload"]
    assert payload["properties"]["type"] == {"const": name}
    schema = resolve(payload["properties"]["data"]["$ref"])
    assert set(schema["properties"]) == {field.name for field in msgspec.structs.fields(TYPES[name])}
    assert set(payload["properties"]) == {field.name for field in msgspec.structs.fields(Envelope)}
    operations = [o for o in DOCUMENT["operations"].values() if o["channel"]["$ref"] == f"#/channels/{name}"]
    assert [operation["action"] in {"send", "receive"} for operation in operations] == [True]


@pytest.mark.parametrize("address", addresses())
def test_every_address_is_one_subject_with_all_its_parameters_explained(address: str) -> None:
    channel = next(c for c in DOCUMENT["channels"].values() if c["address"] == address)
    assert set(re.findall(r"\{(\w+)\}", address)) == set(channel.get("parameters", {}))
    assert "*" not in address
    assert ">" not in address


def test_every_stream_but_the_brokers_own_is_covered_and_every_address_stored_where_it_says() -> None:
    for stream in topology.TOPOLOGY.streams:
        if stream.name == topology.ADVISORIES:
            continue
        for pattern in stream.subjects:
            assert any(matches(pattern, subject_of(address)) for address in addresses()), pattern
    for channel in asyncapi.CHANNELS:
        stored_in = [
            stream.name
            for stream in topology.TOPOLOGY.streams
            if any(matches(pattern, subject_of(channel.address)) for pattern in stream.subjects)
        ]
        assert stored_in == ([channel.stream] if channel.stream else [])


def test_every_subject_a_durable_waits_for_is_in_it() -> None:
    # Literal values stand for the parameters of an address.
    patterns = [re.sub(r"\{\w+\}", "*", address) for address in addresses()]
    for durable in topology.TOPOLOGY.durables:
        for wanted in durable.subjects:
            concrete = wanted.replace(">", "x").replace("*", "x")
            found = any(
                matches(p, concrete) or matches(wanted, subject_of(p.replace("*", "x"))) for p in patterns
            )
            assert found, wanted


def test_it_can_be_written_to_a_file(tmp_path: Any) -> None:
    path = tmp_path / "docs" / "asyncapi.json"
    asyncapi.main([str(path)])
    written = msgspec.json.decode(path.read_bytes())
    assert written["channels"] == DOCUMENT["channels"]
