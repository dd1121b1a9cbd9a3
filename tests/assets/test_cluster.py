import time
from dataclasses import replace

import pytest

from lt4rec_assets import cluster
from lt4rec_assets.cluster import Here, at_node, cluster_of, code_digest, one, reach
from lt4rec_assets.partitions import TRAINING_POOL, pool_of
from lt4rec_assets.project import Project
from lt4rec_core.errors import ConfigError, TrainingError
from tests.assets.conftest import make_settings


def half(project, say, number):
    say(f"halving {number}")
    if number % 2:
        raise TrainingError(f"{number} is odd")
    return number // 2


def broken(project, say):
    raise KeyError("nobody meant this")


@pytest.fixture
def settings(tmp_path):
    """Of a home that a run has opened, as every run does before it asks the cluster."""
    (tmp_path / "home" / "lake").mkdir(parents=True)
    return make_settings(tmp_path / "home")


def test_here_each_call_is_answered_in_turn_and_one_that_fails_takes_no_other_along():
    said = []

    ended = list(Here().each(None, half, [(4,), (5,), (6,)], said.append))

    assert [(call, found) for call, found in ended if call != (5,)] == [((4,), 2), ((6,), 3)]
    assert str(dict(ended)[5,]) == "5 is odd"
    assert said == ["halving 4", "halving 5", "halving 6"]


def test_the_error_of_a_single_call_is_raised():
    assert one(Here(), None, half, (8,), print) == 4
    with pytest.raises(TrainingError, match="7 is odd"):
        one(Here(), None, half, (7,), print)


def test_a_node_tells_what_is_said_on_the_way_then_the_result(settings):
    assert list(at_node(settings, code_digest(), half, (4,))) == [("said", "halving 4"), ("done", 2)]


def test_a_node_hands_over_errors_those_nobody_meant_with_their_traceback(settings):
    *_, (_, odd) = at_node(settings, code_digest(), half, (5,))
    ((_, bug),) = at_node(settings, code_digest(), broken, ())

    assert isinstance(odd, TrainingError)
    assert "KeyError: 'nobody meant this'" in str(bug)
    assert "test_cluster.py" in str(bug)


def test_a_node_with_other_code_or_without_the_home_refuses(settings, tmp_path):
    ((_, other),) = at_node(settings, "0" * 64, half, (4,))
    ((_, lost),) = at_node(replace(settings, home=tmp_path), code_digest(), half, (4,))

    assert isinstance(other, ConfigError)
    assert "has other code" in str(other)
    assert "does not see" in str(lost)


def test_a_cluster_that_does_not_answer_is_said_within_seconds():
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"no Ray cluster answers at 127\.0\.0\.1:9, .* Start it with"):
        reach("127.0.0.1:9")
    assert time.monotonic() - began < 5


def test_without_an_address_runs_compute_by_themselves_and_take_turns(settings):
    project = Project.of(settings)

    assert isinstance(cluster_of(project.settings), Here)
    assert not cluster_of(project.settings).train_together(project)
    assert pool_of(None) == TRAINING_POOL
    assert pool_of("auto") is None


def test_an_address_without_the_extra_says_what_to_install(settings, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "dagster_ray", None)

    with pytest.raises(ConfigError, match=r"LT4REC_RAY is set, but dagster-ray .* -e '.\[ray\]'"):
        cluster_of(replace(settings, ray_address="auto"))


def test_the_digest_of_the_code_covers_python_and_sql(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CHECKOUT", tmp_path)
    for name in ("lt4rec_core/a.py", "lt4rec_assets/b.py", "sql/c.sql"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("one")

    found = set()
    for name in ("lt4rec_core/a.py", "lt4rec_assets/b.py", "sql/c.sql"):
        (tmp_path / name).write_text("two")
        found.add(code_digest.__wrapped__())
    assert len(found) == 3
