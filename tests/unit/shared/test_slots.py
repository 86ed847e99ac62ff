import pytest

from shared.slots import Slot, singular


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("users/{id}/avatar", ("user", "avatar", None, "uploadUserAvatar", "Avatar uploaded successfully")),
        ("sales-reps/{id}/avatar",
         ("sales_rep", "avatar", None, "uploadSalesRepAvatar", "Avatar uploaded successfully")),
        ("communities/{within}/amenities/{id}/photos",
         ("amenity", "photos", "community", "uploadAmenityPhoto", "Photos uploaded successfully")),
        ("teams/{id}/home-shirt",
         ("team", "home_shirt", None, "uploadTeamHomeShirt", "Home shirt uploaded successfully")),
    ],
)  # fmt: skip
def test_all_of_a_slot_follows_from_its_path(
    path: str, expected: tuple[str, str, str | None, str, str]
) -> None:
    slot = Slot(path=path)
    assert slot.fault() is None
    assert (slot.entity_type, slot.entity_field, slot.within, slot.operation, slot.message) == expected


def test_what_is_said_goes_before_what_follows() -> None:
    slot = Slot(path="people/{id}/photos", entity="person", field="gallery", label="Portrait")
    assert (slot.entity_type, slot.entity_field, slot.message) == (
        "person", "gallery", "Portrait uploaded successfully",
    )  # fmt: skip
    assert singular("photos") == "photo"


@pytest.mark.parametrize(
    "path",
    ["", "teams", "teams/badge", "teams/{id}", "{id}/badge", "teams/{id}/badge/", "/teams/{id}/badge", "Teams/{id}/a",
     "teams/{name}/badge", "teams/{id}/{id}", "a/{id}/b/{within}/c", "a/{within}/b/{id}", "teams/{id}/a b",
     "teams/{id}/../badge", "teams/{id}/b\n"],
)  # fmt: skip
def test_a_path_that_can_be_no_slot_is_told(path: str) -> None:
    assert "looks like 'teams/{id}/banner'" in (Slot(path=path).fault() or "")


def test_names_that_can_be_none_are_told() -> None:
    assert "'1st'" in (Slot(path="teams/{id}/badge", field="1st").fault() or "")
    assert "'My Team'" in (Slot(path="teams/{id}/badge", entity="My Team").fault() or "")
