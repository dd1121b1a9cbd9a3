import shutil

import pytest

from lt4rec_core.data.source_check.features import suggested_buckets
from tests.core.data.source_check.conftest import SQL

USERS = """\
-- Users.
-- grain:  one user
-- key:    user_id
-- inputs: raw.users(user_id, country?, age?, hobbies?)
-- params: $dt, the day
-- columns:
--   dt       date       the day
--   user_id  varchar    the user
--   country  varchar    where from
--   age      integer    how old
--   hobbies  varchar[]  what they like

select
    $dt::date as dt,
    user_id,
    country,
    try_cast(age as integer) as age,
    string_split(hobbies, '+') as hobbies
from raw.users
order by user_id
"""
ANN_AND_BOB = "user_id,country,age,hobbies\nann,NO,30,chess+go\nbob,IT,,go\n"
FEATURES = """
[[feature]]
name = "country"
side = "user"
buckets = {buckets}

[[feature]]
name = "hobbies"
side = "user"
kind = "list"
buckets = 1_000
max_length = 3

[[feature]]
name = "{name}"
side = "user"
input = "{input}"
values = ["NO"]
"""


@pytest.fixture
def facts(check, tmp_path):
    """Features of a source with attributes of users, by name; of unused columns, by column."""

    def run(users=ANN_AND_BOB, buckets=1_000, name="again", input="country"):
        folder = tmp_path / "mine"
        shutil.copytree(SQL / "sources" / "custom", folder)
        (folder / "users.sql").write_text(USERS)
        with (folder / "source.toml").open("a") as file:
            file.write(FEATURES.format(buckets=buckets, name=name, input=input))
        report = check(users=users, source=str(folder))
        found = {fact.feature.name if fact.feature else fact.column: fact for fact in report.features}
        return report, found

    return run


def test_buckets_are_counted_as_the_projects_own_sql_gives_them(facts):
    report, found = facts()

    assert report.problems == []
    assert (found["country"].n_used, found["country"].n_distinct, found["country"].missing_share) == (2, 2, 0)
    assert found["again"].n_used == 2  # NO and everything else
    assert found["hobbies"].n_used == 2  # chess and go, in three elements
    assert (found["hour"].n_used, found["duration"].n_used) == (1, 1)


def test_what_needs_seven_days_before_is_not_judged(facts):
    _, found = facts()

    assert found["user_click_rate"].n_used is None
    assert (found["user_click_rate"].fault, found["user_click_rate"].remark) == ("", "")


def test_an_input_that_is_not_there_is_a_problem_that_names_those_that_are(facts):
    report, found = facts(name="mood", input="mood")

    (problem,) = report.problems
    assert problem.startswith("feature 'mood' cannot be computed from 'mood'")
    assert "user_id, country, age, hobbies" in problem
    assert found["country"].n_used == 2, "the others are looked at all the same"


def test_a_feature_that_is_always_missing_or_constant_is_noted(facts):
    report, _ = facts("user_id,country\nann,NO\nbob,NO\n")

    assert any(note.startswith("feature 'country' is constant") for note in report.notes)
    assert any(note.startswith("feature 'hobbies' is missing for all") for note in report.notes)
    assert any(note.startswith("feature 'position' is missing for all") for note in report.notes)


def test_too_few_buckets_are_noted_with_a_better_number(facts):
    users = "".join(f"u{i},c{i}\n" for i in range(100))
    report, found = facts(f"user_id,country\n{users}ann,NO\n", buckets=50)

    (note,) = [note for note in report.notes if "'country' has 50 buckets" in note]
    assert found["country"].suggestion in note
    assert found["country"].suggestion == "buckets = 256"


def test_a_column_that_no_feature_uses_comes_with_a_suggestion(facts):
    _, found = facts(name="again", input="hobbies")

    assert found["users.age"].feature is None
    assert found["users.age"].suggestion == "bins = [30]"


@pytest.mark.parametrize(
    ("n", "buckets"), [(0, 16), (8, 16), (9, 32), (1000, 2048), (1024, 2048), (1025, 4096)]
)
def test_buckets_are_the_power_of_two_that_is_at_least_twice_the_values(n, buckets):
    assert suggested_buckets(n) == buckets
