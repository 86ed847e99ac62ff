"""Full text: what is found by which words, in which order, by whom, and how soon."""

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import cast, create_engine, func, select, text, update
from sqlalchemy.dialects.postgresql import TSVECTOR

from services.catalog import candidates, relevance, texts_index, texts_query
from services.catalog.candidates import Search
from services.catalog.cursors import Place
from services.catalog.database import Database, lock_text
from services.catalog.migrate import migrate
from services.catalog.models import media, media_texts, text_changes
from services.catalog.schemas import SearchSort
from services.catalog.search import SearchPageFound, search_media
from services.catalog.texts import Weight, vector, words
from services.catalog.texts_query import Question
from services.catalog.texts_stems import DEFAULT, Stems
from shared.auth import Caller
from shared.events.messages import MediaUploaded
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service
from tests.integration.catalog.test_lists import fill
from tests.integration.catalog.test_migrations import upgrade
from tests.unit.catalog.test_texts import HARD

SERVICE = Caller(sub="back end", roles=frozenset({"service"}))


async def ask(client: httpx.AsyncClient, q: str, **body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/media/search", json={"q": q, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert [match["id"] for match in found["matches"]] == [item["id"] for item in found["items"]]
    return found


async def names(client: httpx.AsyncClient, q: str, **body: Any) -> list[str]:
    return [item["filename"] for item in (await ask(client, q, **body))["items"]]


async def test_words_are_found_where_they_stand_the_weightier_first_by_those_who_may_see_it(
    catalog: Service,
) -> None:
    shared: dict[str, Any] = {"mime_type": "image/png", "is_public": True}
    await catalog.have(
        stories.uploaded("ann", filename="d.png", description="Eine Straße <b>am</b> Meer", **shared),
        stories.uploaded("ann", filename="c.png", caption="Straße", **shared),
        stories.uploaded("ann", filename="STRASSE.png", **shared),
        stories.uploaded("ann", filename="t.png", tags=("Die Straße", "sea"), **shared),
        stories.uploaded("ann", filename="mine.png", caption="strasse strasse", alt_text="Ärger"),
    )
    every = ["STRASSE.png", "mine.png", "t.png", "c.png", "d.png"]
    async with catalog.caller("ann") as ann, catalog.caller("bob") as bob:
        assert sorted(await names(ann, "strasse")) == sorted(every)
        assert (await names(ann, "straße"))[0] == "STRASSE.png"
        assert (await names(ann, "straße"))[-1] == "d.png"
        assert sorted(await names(bob, "STRASSE")) == sorted({*every} - {"mine.png"})
        assert await names(bob, "arger") == []
        assert await names(ann, "arger") == ["mine.png"]
        found = await ask(bob, "strasse meer")
    assert [match["highlights"] for match in found["matches"]] == [
        {"description": ["Eine <mark>Straße</mark> &lt;b&gt;am&lt;/b&gt; <mark>Meer</mark>"]}
    ]
    assert found["matches"][0]["rank"] > 0
    assert sorted(await names(catalog.nobody, "strasse")) == sorted({*every} - {"mine.png"})


async def test_what_is_changed_is_found_by_its_new_words_at_once_and_what_is_deleted_by_none(
    catalog: Service,
) -> None:
    upload = stories.uploaded("ann", caption="a harbour")
    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        assert await names(ann, "harbours") == ["photo.jpg"]
        changed = await ann.patch(
            f"/v1/media/{upload.id}", json={"caption": "a lighthouse", "tags": ["isle"]}
        )
        assert changed.status_code == 200
        assert await names(ann, "harbour") == []
        assert await names(ann, "lighthouse isle") == ["photo.jpg"]
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204
        assert await names(ann, "lighthouse") == []
    async with catalog.database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(media_texts)) == 0


async def test_a_document_is_found_by_what_it_says_and_that_is_gone_with_it(catalog: Service) -> None:
    upload = stories.uploaded("ann", filename="paper.pdf", mime_type="application/pdf", media_type="document")
    await catalog.blobs.ensure_bucket()

    async def say(generation: int, text: str) -> None:
        told = stories.variant(upload.id, "text", generation)
        await catalog.blobs.put_bytes(told.key, text.encode(), content_type="text/plain")
        await catalog.have(stories.processed(upload, generation, variants=(told,)))

    async def found(q: str) -> dict[str, Any] | None:
        return next(iter((await ask(ann, q))["matches"]), None)

    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        await say(1, "page one\0\n" + "filler " * 50 + "\nThe kingfishers\nof summer")
        await eventually_async(lambda: found("kingfisher paper"), "the document to be read")
        match = await found("kingfisher")
        assert match is not None
        assert "The <mark>kingfishers</mark>\nof summer" in match["highlights"]["document"][0]
        await say(2, "Nothing but herons")
        await eventually_async(lambda: found("herons"), "the document to be read again")
        assert await found("kingfisher") is None
        await ann.delete(f"/v1/media/{upload.id}")
        assert await found("herons") is None


async def test_the_title_that_a_file_tells_weighs_as_its_name_and_is_found_by_those_who_may_see_it(
    catalog: Service,
) -> None:
    titled = stories.uploaded("ann", filename="scan.pdf", mime_type="application/pdf", media_type="document")
    named = stories.uploaded(
        "ann", filename="b.mp3", caption="Herons", mime_type="audio/mpeg", media_type="audio"
    )
    await catalog.have(titled, named)

    async def say(upload: MediaUploaded, generation: int, **exif: Any) -> None:
        await catalog.have(stories.processed(upload, generation, exif=exif, variants=()))

    async with catalog.caller("ann") as ann, catalog.caller("bob") as bob:
        await say(titled, 1, title="Über <i>Herons</i>")
        await say(named, 1, title="Blues", artist="The Kingfishers", album="Live")
        assert await names(ann, "herons") == ["scan.pdf", "b.mp3"]
        assert (await ask(ann, "uber"))["matches"][0]["highlights"] == {
            "title": ["<mark>Über</mark> &lt;i&gt;Herons&lt;/i&gt;"]
        }
        assert await names(ann, "kingfisher live blues") == ["b.mp3"]
        assert await names(bob, "herons") == await names(catalog.nobody, "kingfishers") == []
        await say(titled, 2, title="Terns")
        assert await names(ann, "uber") == []
        assert await names(ann, "terns") == ["scan.pdf"]


async def test_a_search_without_words_or_for_relevance_to_nothing(catalog: Service) -> None:
    await catalog.have(stories.uploaded("ann"))
    async with catalog.caller("ann") as ann:
        assert await names(ann, "?!") == []
        answer = await ann.post("/v1/media/search", json={"sort": "relevance"})
        assert (answer.status_code, answer.json()["field"]) == (422, "sort")
        answer = await ann.post("/v1/media/search", json={"q": "a\0b"})
        assert (answer.status_code, answer.json()["field"]) == (422, "q")


async def written(database: Database, *captions: str, stems: Stems | None = None, **values: Any) -> None:
    """Media with these captions, and their words."""
    for caption in captions:
        await fill(database, 1, caption=caption, **values)
    await texts_index.make(database, stems or Stems(()), {}, most=10_000)


async def page(
    database: Database,
    said: str,
    stems: Stems,
    *,
    caller: Caller = SERVICE,
    sort: SearchSort = "relevance",
    limit: int = 20,
    after: Place | None = None,
) -> SearchPageFound:
    search = Search(caller=caller, sort=sort, limit=limit, after=after)
    return await search_media(
        database, search, question=texts_query.read(said), stems=stems, base_url="http://origin.test"
    )


async def captions(database: Database, said: str, stems: Stems) -> set[str | None]:
    return {item.caption for item in (await page(database, said, stems)).items}


async def test_words_are_found_in_any_form_of_each_language(database: Database) -> None:
    stems = Stems(DEFAULT)
    texts = ("running horses", "die Häuser am See", "les chevaux blancs", "los gatos negros", "horse riding")
    await written(database, *texts, stems=stems)
    found = {
        said: await captions(database, said, stems) for said in ("horse", "Haus", "haeuser", "gato", "run")
    }
    assert found == {
        "horse": {texts[0], texts[4]},
        "Haus": {texts[1]},
        "haeuser": {texts[1]},
        "gato": {texts[3]},
        "run": {texts[0]},
    }
    assert await captions(database, '"running horse"', stems) == set()
    assert await captions(database, '"running horses"', stems) == {texts[0]}
    assert await captions(database, "horse -riding", stems) == {texts[0]}
    assert await captions(database, "gat* or chev*", stems) == {texts[2], texts[3]}
    assert await captions(database, "the horse", stems) == {texts[0], texts[4]}


def test_media_that_were_there_before_are_noted_by_the_migration(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url)
    with engine.connect() as connection:
        upgrade(connection, "0010")
        connection.execute(
            text(
                "INSERT INTO media (id, number, owner, owner_uuid, profile, recipe, key, filename, mime_type,"
                " media_type, size, sha256, created_at, is_public, generation, status, status_at) SELECT"
                " gen_random_uuid(), n, 'ann', gen_random_uuid(), 'default', 'standard', 'k', 'f', 'image/png',"
                " 'image', 1, '0', now(), false, 1, 'ready', now() FROM generate_series(1, 3) AS n"
            )
        )
        connection.commit()
        migrate(empty_database_url)
        there = connection.scalars(text("SELECT id FROM media ORDER BY id")).all()
        assert connection.scalars(text("SELECT media_id FROM text_changes ORDER BY 1")).all() == there
    engine.dispose()


async def test_media_from_before_titles_were_read_are_found_by_theirs(database: Database) -> None:
    await written(database, "untitled", exif={"title": "Herons"})
    stems = Stems(())
    async with database.writing(tell=False) as connection:
        await connection.execute(text("UPDATE media_texts SET words = ''"))
        await connection.execute(text("INSERT INTO marks (name, value) VALUES ('texts_read_with', 1)"))
    assert await captions(database, "herons", stems) == set()
    await texts_index.compare_languages(database, stems)
    assert await captions(database, "herons", stems) == {"untitled"}


async def test_when_the_languages_are_others_all_words_are_made_anew(database: Database) -> None:
    await written(database, "running horses")
    await texts_index.compare_languages(database, Stems(()))
    assert await captions(database, "horse", Stems(("english",))) == set()
    for stems, waiting in ((Stems(()), 0), (Stems(("english",)), 1), (Stems(("english",)), 1)):
        await texts_index.compare_languages(database, stems)
        async with database.reading() as connection:
            assert await connection.scalar(select(func.count()).select_from(text_changes)) == waiting
    assert await captions(database, "horse", Stems(("english",))) == {"running horses"}


VOCABULARY = ("sea", "Séa", "sand", "sun", "sunny", "see", "beach", "IMG_7", "7")


def plainly(said: Question, text: str) -> bool:
    """Whether a text has the words of a question, as somebody reads it who knows no stems."""
    found = [word.folded for word in words(text)]

    def there(term: texts_query.Term) -> bool:
        *first, last = term.words
        return any(
            found[at : at + len(first)] == first
            and at + len(first) < len(found)
            and (found[at + len(first)].startswith(last) if term.prefix else found[at + len(first)] == last)
            for at in range(len(found))
        )

    return any(all(there(term) is not term.unwanted for term in way) for way in said.ways)


def some_questions(chance: random.Random) -> Iterator[str]:
    pieces = (*VOCABULARY, '"sea sand"', '"sun sunny sea"', "su*", "IMG_7*", "s*", "or", "|")
    while True:
        chosen = chance.choices(pieces, k=chance.randint(1, 5))
        yield " ".join(("-" if chance.random() < 0.2 and len(one) > 2 else "") + one for one in chosen)


async def test_the_database_finds_what_a_plain_reading_finds(database: Database) -> None:
    chance, stems = random.Random(5), Stems(())
    texts = {" ".join(chance.choices(VOCABULARY, k=chance.randint(1, 5))) for _ in range(60)}
    await written(database, *texts, filename="x")
    some = 0
    async with database.reading() as connection:
        for said in itertools.islice(some_questions(chance), 150):
            question = texts_query.read(said)
            asked = texts_query.as_tsquery(question, await stems.of(connection, question.words))
            of_words = media_texts.c.words.op("@@")(candidates.as_query(asked))
            joined = select(media.c.caption).join(media_texts, media_texts.c.media_id == media.c.id)
            found = set(await connection.scalars(joined.where(of_words))) if asked else set()
            assert found == {text for text in texts if plainly(question, text)}, said
            some += 0 < len(found) < len(texts)
    assert some > 75


async def test_the_database_reads_whatever_was_typed_or_written(database: Database) -> None:
    typed: set[str] = set()

    @settings(max_examples=200, deadline=None, database=None)
    @given(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
        | st.text(alphabet=HARD, max_size=40)
    )
    def collect(said: str) -> None:
        typed.add(said)

    collect()
    typed |= {
        "\\",
        "a\\",
        "'",
        "a'b",
        "'' \\' :*",
        "a:*",
        "!a",
        "(a",
        "a <-> b",
        "\u2028",
        "ß" * 99,
        "½ ¾ x²",
        "-a -b or -c",
        "\u0301",
        '"\u0301"',
        "\u0670*",
        "beach -\u0301",
    }
    async with database.reading() as connection:
        for said in typed:
            found = [word.folded for word in words(said)]
            stems = await Stems(("english", "russian")).of(connection, found)
            made = vector([("A", found)], {word: known.stems for word, known in stems.items()})
            asked = texts_query.as_tsquery(texts_query.read(f'"{said}"'.replace('""', "")), stems)
            fits = select(cast(made, TSVECTOR).op("@@")(candidates.as_query(asked)))
            if '"' not in said and found:
                assert await connection.scalar(fits), said
            freely = texts_query.read(said)
            question = texts_query.as_tsquery(freely, await Stems(("english",)).of(connection, freely.words))
            await connection.execute(select(candidates.as_query(question)))
    await written(database, *sorted(typed), "\u0301" * 9_000, "x\u0301 " * 20_000, "words behind them")
    assert await captions(database, "behind", Stems(())) == {"words behind them"}


async def test_a_text_that_the_database_refuses_costs_its_own_words_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard = {"no vector": "'':1B", "too long": "a" * 3000, "not of Unicode": "\ud800"}

    def some(fields: Iterable[tuple[Weight, Sequence[str]]], stems: Mapping[str, frozenset[str]]) -> str:
        said = list(fields)
        return hard.get(" ".join(said[1][1]), "") or vector(said, stems)

    monkeypatch.setattr(texts_index, "vector", some)
    await written(database, "sea", *hard, "sea sand")
    assert await captions(database, "sea", Stems(())) == {"sea", "sea sand"}
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(text_changes)) == 0
        assert await connection.scalar(select(func.count()).select_from(media_texts)) == 5


async def test_accents_without_letters_are_words_of_no_text_and_no_question(catalog: Service) -> None:
    await catalog.have(stories.uploaded("ann", caption="\u0301 beach \u0670", filename="\u0301.txt"))
    async with catalog.caller("ann") as ann:
        assert await names(ann, "beach -\u0301") == ["\u0301.txt"]
        assert [await names(ann, q) for q in ("\u0301", '"\u0301"', "\u0670*")] == [[], [], []]


async def all_pages(database: Database, said: str, *, limit: int) -> list[SearchPageFound]:
    """To the end, while new media come that have the words, too."""
    pages: list[SearchPageFound] = []
    after: Place | None = None
    while not pages or after is not None:
        pages.append(await page(database, said, Stems(()), after=after, limit=limit))
        after = pages[-1].end
        await written(database, "sea sea sea", is_public=True, created_at=stories.now())
    return pages


@pytest.mark.parametrize("rare", [100, 3])
async def test_pages_by_relevance_have_each_media_once_though_others_come(
    database: Database, monkeypatch: pytest.MonkeyPatch, rare: int
) -> None:
    monkeypatch.setattr(candidates, "RARE", rare)
    monkeypatch.setattr(relevance, "STRETCH", 8)
    await written(database, *(f"{'sea ' * (1 + number % 3)} {number}" for number in range(30)), "sand", "sun")
    pages = await all_pages(database, "sea", limit=4)
    found = [item.caption for one in pages for item in one.items]
    assert sorted(text for text in found if text and text != "sea sea sea") == sorted(
        f"{'sea ' * (1 + number % 3)} {number}".strip() for number in range(30)
    )
    ranks = [match.rank or 0.0 for one in pages for match in one.matches or ()]
    if rare == 100:
        assert ranks == sorted(ranks, reverse=True)
    assert max(len(one.items) for one in pages) == 4


@pytest.mark.parametrize("rare", [100, 1])
@pytest.mark.parametrize("sub", ["ann", "bob"])
async def test_words_narrow_every_order_and_filters_narrow_relevance(
    database: Database, monkeypatch: pytest.MonkeyPatch, rare: int, sub: str
) -> None:
    monkeypatch.setattr(candidates, "RARE", rare)
    await written(database, "sea one", "sea two", "sand", owner="ann", size=3)
    await written(database, "sea three", owner="ann", size=1, is_public=True)
    caller = Caller(sub=sub)
    visible = {"ann": ["sea three", "sea one", "sea two"], "bob": ["sea three"]}[sub]
    found = await page(database, "sea", Stems(()), caller=caller, sort="size")
    assert [item.caption for item in found.items][:1] == visible[:1]
    assert sorted(item.caption or "" for item in found.items) == sorted(visible)


async def test_a_search_does_not_wait_long_for_somebody_who_makes_words(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts_index, "PATIENCE_MS", 20)
    await written(database, "sea")
    await fill(database, 1, caption="sea, too")
    async with database.writing() as somebody:
        await lock_text(somebody, "texts")
        assert await captions(database, "sea", Stems(())) == {"sea"}
    assert await captions(database, "sea", Stems(())) == {"sea", "sea, too"}


async def test_words_that_wait_are_made_together_and_each_note_is_taken_once(database: Database) -> None:
    await fill(database, 7, caption="sea")
    async with database.writing() as connection:
        await connection.execute(update(media).values(caption="sand"))
    assert await texts_index.make(database, Stems(()), {}, most=5) == 5
    assert await texts_index.make(database, Stems(()), {}, most=50) == 9
    assert await texts_index.make(database, Stems(()), {}, most=50) == 0
    assert len((await page(database, "sand", Stems(()))).items) == 7
    assert (await page(database, "sea", Stems(()))).items == []
