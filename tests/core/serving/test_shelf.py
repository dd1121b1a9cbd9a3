from dataclasses import replace
from datetime import date

import pytest

from lt4rec_core.serving.export import publish
from lt4rec_core.serving.shelf import prune, served_folder, standing


@pytest.fixture
def store(served, tmp_path):
    """An empty store beside the one that holds the models."""
    return replace(served.store, home=tmp_path)


@pytest.fixture(scope="session")
def drafted(served):
    return served.draft()


def put(store, drafted, day, promoted=True, withdrawn=(), **identity):
    """Publish a ranker of that day; returns its digest."""
    of_day = replace(drafted, identity=drafted.identity | {"day": day} | identity)
    beside = {"promotion": {"promoted": promoted}, "withdrawn": [{"digest": one} for one in withdrawn]}
    return publish(store, of_day, beside)


def days_of(store):
    return sorted(path.parent.name for path in store.root.glob("ranker/*/*/manifest.json"))


def test_the_newest_promoted_ranker_is_in_use(store, drafted):
    assert served_folder(store.home) is None
    for day, promoted in (("2022-04-26", True), ("2022-04-28", True), ("2022-04-29", False)):
        put(store, drafted, day, promoted)

    assert served_folder(store.home).name == "2022-04-28"
    assert served_folder(store.home, before=date(2022, 4, 28)).name == "2022-04-26"


def test_a_day_written_again_without_promotion_hands_back_to_the_one_before(store, drafted):
    for day, promoted in (("2022-04-26", True), ("2022-04-27", True), ("2022-04-27", False)):
        put(store, drafted, day, promoted)

    assert served_folder(store.home).name == "2022-04-26"


def test_of_two_chains_the_newer_day_counts(store, drafted):
    other = replace(drafted, identity=drafted.identity | {"chain": "f" * 64})
    put(store, drafted, "2022-04-27", True)
    put(store, other, "2022-04-26", True)

    assert served_folder(store.home).parent.name == drafted.identity["chain"][:16]


def test_a_withdrawn_ranker_hands_back_to_the_newest_that_stands(store, drafted):
    put(store, drafted, "2022-04-25")
    put(store, drafted, "2022-04-26", promoted=False)
    bad = put(store, drafted, "2022-04-27")
    put(store, drafted, "2022-04-28", promoted=False, withdrawn=[bad])

    assert served_folder(store.home).name == "2022-04-25"
    assert [one.day for one in standing(store.home)] == [date(2022, 4, 25)]


def test_before_the_day_that_withdrew_it_a_ranker_stood(store, drafted):
    bad = put(store, drafted, "2022-04-27")
    put(store, drafted, "2022-04-28", withdrawn=[bad])

    assert served_folder(store.home, before=date(2022, 4, 28)).name == "2022-04-27"


def test_a_day_that_is_judged_again_takes_its_withdrawal_back(store, drafted):
    put(store, drafted, "2022-04-26")
    bad = put(store, drafted, "2022-04-27")
    put(store, drafted, "2022-04-28", promoted=False, withdrawn=[bad])

    put(store, drafted, "2022-04-28", promoted=False)

    assert served_folder(store.home).name == "2022-04-27"


def test_a_ranker_that_is_made_otherwise_stands_until_it_is_measured(store, drafted):
    put(store, drafted, "2022-04-26")
    bad = put(store, drafted, "2022-04-27")
    put(store, drafted, "2022-04-28", promoted=False, withdrawn=[bad])

    put(store, drafted, "2022-04-27", model="repaired")

    assert served_folder(store.home).name == "2022-04-27"


def test_old_rankers_go_and_the_newest_days_stay(store, drafted):
    for number in range(20, 27):
        put(store, drafted, f"2022-04-{number}")

    gone = prune(store.home, 3, made=date(2022, 4, 26))

    assert gone == [date(2022, 4, number) for number in range(20, 24)]
    assert days_of(store) == ["2022-04-24", "2022-04-25", "2022-04-26"]
    assert not list(store.root.glob("ranker/*/2022-04-20"))


def test_the_one_in_use_stays_however_old(store, drafted):
    for number in range(20, 27):
        put(store, drafted, f"2022-04-{number}", promoted=number < 22)

    prune(store.home, 2, made=date(2022, 4, 26))

    assert days_of(store) == ["2022-04-21", "2022-04-25", "2022-04-26"]
    assert served_folder(store.home).name == "2022-04-21"


def test_what_was_withdrawn_does_not_come_back_when_days_are_pruned(store, drafted):
    put(store, drafted, "2022-04-20")
    bad = put(store, drafted, "2022-04-21")
    put(store, drafted, "2022-04-22", promoted=False, withdrawn=[bad])
    put(store, drafted, "2022-04-26", promoted=False)

    for keep in (6, 5, 4, 1):
        prune(store.home, keep, made=date(2022, 4, 26))

        assert served_folder(store.home).name == "2022-04-20"
    assert days_of(store) == ["2022-04-20", "2022-04-26"]


def test_an_old_day_that_is_made_again_is_not_removed_at_once(store, drafted):
    for day in ("2022-04-20", "2022-04-26"):
        put(store, drafted, day)

    assert prune(store.home, 2, made=date(2022, 4, 20)) == []
    assert prune(store.home, 2, made=date(2022, 4, 26)) == [date(2022, 4, 20)]


def test_all_are_kept_when_asked_for(store, drafted):
    for day in ("2021-04-20", "2022-04-26"):
        put(store, drafted, day)

    assert prune(store.home, 0, made=date(2022, 4, 26)) == []
    assert prune(store.home.parent / "nothing here", 2, made=date(2022, 4, 26)) == []
