import numpy as np

from lt4rec_core.serving.batch import score_day
from lt4rec_core.training.daily import score_day as predictions_of


def test_a_day_of_the_lake_scores_as_its_predictions(served, ranker):
    day = served.days[2]
    expected, _ = predictions_of(served.store, served.chain, served.days[1], served.samples(day))

    table = score_day(ranker, served.platform.lake, day)

    rows = served.platform.rows("training.samples", day)
    assert table["video_id"].to_pylist() == [row["video_id"] for row in rows]
    np.testing.assert_allclose(table["p_ctr"].to_numpy(), expected["p_ctr"], atol=1e-5)
    np.testing.assert_allclose(table["p_cvr"].to_numpy(), expected["p_cvr"], atol=1e-5)


def test_a_day_without_samples_gives_no_row(served, ranker):
    table = score_day(ranker, served.platform.lake, served.days[2].replace(year=2030))

    assert table.num_rows == 0
    assert "p_cvr" in table.column_names
