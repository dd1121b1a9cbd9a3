from datetime import date

import pytest

from lt4rec_assets.defs import evaluation
from lt4rec_assets.learning import Learning
from lt4rec_assets.project import Project
from lt4rec_assets.resources import ModelStoreResource
from lt4rec_core.data.analyst import connect, query
from lt4rec_core.data.lake import Lake
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.data.streaming import SampleStream
from lt4rec_core.errors import ConfigError, LakeError, ModelStoreError
from lt4rec_core.training.store import ModelStore


def test_tickets_snet_and_baseline_share_network_training_and_seed(filled):
    learning, store = Learning.of(filled.project), ModelStore(filled.project.settings.home)

    snet, baseline = learning.chain("snet", store), learning.chain("baseline", store)

    assert (snet.network, snet.training, snet.seed) == (baseline.network, baseline.training, baseline.seed)
    assert (snet.network, snet.training) == (learning.ticket_key.network, learning.ticket_key.training)
    assert set(snet.tickets) == {"ctr", "cvr"}
    assert not baseline.tickets


def test_a_baseline_needs_no_ticket_and_snet_says_which_is_missing(empty):
    learning = Learning.of(empty().project)
    store = ModelStore(learning.project.settings.home)

    learning.chain("baseline", store)
    with pytest.raises(ModelStoreError, match="ticket of task 'ctr'"):
        learning.chain("snet", store)


def test_the_ticket_is_searched_on_its_window_alone(filled, monkeypatch):
    read = []
    samples = Learning.samples

    def spy(self, lake, first, last, keep=()):
        read.append((first, last))
        return samples(self, lake, first, last, keep)

    monkeypatch.setattr(Learning, "samples", spy)
    Learning.of(filled.project).search("cvr", Lake(filled.project.settings.home), on_round=lambda done: None)

    assert read == [(date(2026, 1, 5), date(2026, 1, 5)), (date(2026, 1, 6), date(2026, 1, 6))]


def test_analysts_find_how_each_ticket_was_found(filled):
    rows = filled.ask("select task, metric, density < 1, n_rounds from tickets.ticket_summary order by task")
    n = Learning.of(filled.project).pruning.n_pruning

    assert rows == [("ctr", "auc", True, n), ("cvr", "mse", True, n)]


def test_analysts_find_what_the_tickets_share(filled):
    rows = filled.ask(
        "select n_shared + n_only_task + n_only_other + n_unused = n_weights, jaccard "
        "from tickets.sharing where layer = 'all' and (task, other_task) = ('ctr', 'cvr')"
    )
    told = filled.latest("tickets/sharing_report")["jaccard"].value

    assert rows == [(True, told)]


def test_searching_again_finds_the_same_ticket(filled):
    learning, store = Learning.of(filled.project), ModelStore(filled.project.settings.home)
    lake = Lake(filled.project.settings.home)

    again = learning.search("ctr", lake, on_round=lambda done: None)

    assert again.digest == store.load_ticket(learning.ticket_key, "ctr").digest


def test_samples_of_a_day_that_is_missing_are_refused(filled):
    lake = Lake(filled.project.settings.home)

    with pytest.raises(LakeError, match=r"training\.samples has no rows for 2026-01-10"):
        Learning.of(filled.project).samples(lake, date(2026, 1, 9), date(2026, 1, 10))


def test_days_above_the_threshold_are_streamed_and_scored_alike(filled, monkeypatch):
    project = filled.project
    lake, store = Lake(project.settings.home), ModelStoreResource(home=str(project.settings.home))
    day = max(lake.days("evaluation.predictions"))
    learning = Learning.of(project)

    def scored():
        staged, digests = evaluation._score(project, lake, store, day)
        lake.discard(staged)
        return staged.digest, staged.n_rows, digests

    assert isinstance(learning.samples_or_stream(lake, day, day)[0], SampleSet)
    in_memory = scored()
    monkeypatch.setattr("lt4rec_assets.learning.bytes_per_sample", lambda catalogue: 2**40)
    stream, version = learning.samples_or_stream(lake, day, day)
    assert isinstance(stream, SampleStream)
    assert version == lake.version("training.samples")
    assert scored() == in_memory


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[network]\nembeding_dim = 3", r"\[network\] in .*lt4rec\.toml has unknown keys: embeding_dim"),
        ("[training]\nseed = 'one'", "seed is 'one'"),
        ("[pruning]\nq = 33", r"q must lie strictly between 0 and 1, got 33"),
    ],
)
def test_a_faulty_learning_setting_is_named(empty, toml, message):
    settings = empty().project.settings
    (settings.home / "lt4rec.toml").write_text(toml)
    from lt4rec_assets.settings import read_settings

    faulty = read_settings({"LT4REC_HOME": str(settings.home), "LT4REC_START": "2026-01-05"})

    with pytest.raises(ConfigError, match=message):
        Learning.of(Project.of(faulty))


def test_a_further_task_gets_a_ticket_and_a_score_and_leaves_the_others_tickets_alone(empty):
    home = empty(LT4REC_END="2026-01-07", LT4REC_TASKS="ctr,cvr")
    assert home.backfill(last=date(2026, 1, 7)).ok
    before = Learning.of(home.project).found_masks()
    wider = empty(LT4REC_END="2026-01-07", LT4REC_TASKS="ctr,cvr,long_view")

    outcome = wider.backfill(last=date(2026, 1, 7))

    assert outcome.ok
    after = Learning.of(wider.project).found_masks()
    assert set(after) == {"ctr", "cvr", "long_view"}
    assert all((after[task][n] == m).all() for task in before for n, m in before[task].items())
    con = connect(wider.project.settings.home)
    scored = query(con, "select count(*), count(p_long_view) from evaluation.predictions").fetchall()[0]
    assert scored[0] == scored[1] > 0
    tasks = query(con, "select distinct task from evaluation.daily_metrics order by 1").fetchall()
    assert [t for (t,) in tasks] == ["ctcvr", "ctr", "cvr", "long_view"]
