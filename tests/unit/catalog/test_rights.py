"""The predicate of each kind of caller, as SQL."""

from sqlalchemy import ColumnElement
from sqlalchemy.dialects import postgresql

from services.catalog import rights
from shared.auth import ANONYMOUS, Caller
from shared.entities import Entity


def sql(expression: ColumnElement[bool]) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    compiled = expression.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return " ".join(str(compiled).split())


def test_without_a_token_only_what_is_public_and_approved() -> None:
    assert sql(rights.readable(ANONYMOUS)) == "media.is_public AND media.moderation = 'approved'"


def test_a_user_sees_their_own_the_public_and_that_of_their_entities() -> None:
    text = sql(rights.readable(Caller(sub="ann")))
    assert text.startswith(
        "media.owner = 'ann' OR media.is_public AND media.moderation = 'approved' OR (EXISTS"
    )
    assert (
        "entities.type = media.entity_type AND entities.id = media.entity_id AND NOT entities.deleted" in text
    )
    assert "entities.owners @> CAST(ARRAY['ann'] AS TEXT[])" in text
    assert "entities.admins @> CAST(ARRAY['ann'] AS TEXT[])" in text


def test_a_user_with_a_number_has_what_was_uploaded_for_it_and_not_what_belongs_to_the_sub_of_those_digits() -> (
    None
):
    for predicate in (rights.readable, rights.changeable):
        text = sql(predicate(Caller(sub="ann", uid=42)))
        assert "media.owner = 'ann' OR media.owner = '42' AND media.owner_uid = 42 OR" in text
        for sub in ("7", "042"):  # whose number is that
            assert "owner_uid" not in sql(predicate(Caller(sub=sub, uid=42)))
        assert "owner_uid" not in sql(predicate(Caller(sub="42")))


def test_roles_see_all_and_a_moderator_changes_nothing_by_role() -> None:
    for role in ("admin", "moderator", "service"):
        assert sql(rights.readable(Caller(sub="x", roles=frozenset({role})))) == "true"
    assert "media.owner = 'x'" in sql(rights.changeable(Caller(sub="x", roles=frozenset({"moderator"}))))
    assert sql(rights.changeable(Caller(sub="x", roles=frozenset({"service"})))) == "true"


def test_without_a_token_nothing_is_changed() -> None:
    assert sql(rights.changeable(ANONYMOUS)) == "false"


def test_a_deleted_entity_gives_no_right_to_a_live_message() -> None:
    entity = Entity(type="post", id="1", owners=("ann",))
    gone = Entity(type="post", id="1", owners=("ann",), deleted=True)
    ann = Caller(sub="ann")
    assert rights.may_see(ann, owner="bob", public=False, entity=entity)
    assert not rights.may_see(ann, owner="bob", public=False, entity=gone)
    assert not rights.may_see(ANONYMOUS, owner=None, public=False, entity=entity)
