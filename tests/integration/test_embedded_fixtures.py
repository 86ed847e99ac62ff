"""The servers that every other integration test stands on: each test has its own part of each of them."""

import io
import signal
from urllib.parse import urlsplit

import nats
import psycopg
import pytest
from minio import Minio

from deploy.child import NotReady
from deploy.servers.nats import probe
from tests.fixtures.servers import Broker, ObjectStore, Servers


def client(store: ObjectStore) -> Minio:
    return Minio(
        store.endpoint.removeprefix("http://"),
        access_key=store.access_key,
        secret_key=store.secret_key,
        secure=False,
        region=store.region,
    )


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_bucket(object_store: ObjectStore, turn: int) -> None:
    bucket = client(object_store)

    assert list(bucket.list_objects(object_store.bucket, recursive=True)) == []
    assert object_store.files() == []
    bucket.put_object(object_store.bucket, f"left-behind-{turn}", io.BytesIO(b"x"), 1)
    (left,) = object_store.files()
    assert (left.key, left.size, left.read_bytes()) == (f"left-behind-{turn}", 1, b"x")


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_an_empty_broker(broker: Broker, turn: int) -> None:
    connection = await nats.connect(broker.url)
    stream = connection.jetstream()

    assert await stream.streams_info() == []
    await stream.add_stream(name=f"left-behind-{turn}", subjects=["x.*"])
    await connection.close()


async def test_broker_comes_back_on_its_port_with_what_it_stored(broker: Broker) -> None:
    connection = await nats.connect(broker.url)
    await connection.jetstream().add_stream(name="kept", subjects=["x.*"])
    await connection.jetstream().publish("x.1", b"stored")
    await connection.close()

    broker.stop(signal.SIGKILL)
    broker.start()

    connection = await nats.connect(broker.url)
    assert (await connection.jetstream().get_msg("kept", 1)).data == b"stored"
    await connection.close()


def test_broker_refuses_a_wrong_password(broker: Broker) -> None:
    port = urlsplit(broker.url).port

    with pytest.raises(NotReady, match="Authorization Violation"):
        probe(port or 0, "wrong")


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_database_of_the_services_role(empty_database_url: str, turn: int) -> None:
    with psycopg.connect(empty_database_url.replace("+psycopg", "")) as connection:
        row = connection.execute(
            "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        connection.execute(f"CREATE TABLE left_behind_{turn} (id int)")
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()

    assert row == ("tripod", False)
    assert tables == (1,)


def test_database_refuses_a_wrong_password(servers: Servers) -> None:
    wrong = servers.admin_dsn.replace(servers.secrets.postgres_admin, "wrong")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
