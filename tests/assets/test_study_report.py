from lt4rec_assets.research import Research
from lt4rec_assets.study import Member
from lt4rec_assets.study_report import pictures, report


def test_the_report_tells_what_is_finished_and_trains_nothing(raced, monkeypatch):
    home = raced.project.settings.home
    days = {"LT4REC_START": "2026-01-05", "LT4REC_END": "2026-01-08"}
    names = ["simulator", *(f"simulator-data-{k}" for k in range(1, 5))]
    (home.parent / "simulator").symlink_to(home)
    monkeypatch.setattr(
        "lt4rec_assets.study_report.members", lambda into, logs: [Member(name, days) for name in names]
    )
    monkeypatch.setattr("lt4rec_core.experiments.race.fit", None)

    text = report(home.parent, None)

    assert "## simulator" in text
    assert "rows not complete: hard_sharing" in text
    assert "| s_weight | cvr_mse |" in text
    assert "### 50% of the CVR labels" in text
    assert "Best reachable: ctr_auc 0." in text
    assert "Not complete." in text  # of the data seeds only one is there
    assert "| simulator | 100% | s_weight |" in text

    written = pictures(home.parent, None, home.parent / "pictures")

    assert [path.name for path in written] == [
        "simulator-sharing.png", "simulator-pruning.png", "simulator-scarcity.png"
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_a_race_without_its_single_tasks_is_said_to_be_not_complete(raced, monkeypatch):
    home = raced.project.settings.home
    days = {"LT4REC_START": "2026-01-05", "LT4REC_END": "2026-01-08"}
    if not (home.parent / "simulator").exists():
        (home.parent / "simulator").symlink_to(home)
    monkeypatch.setattr(
        "lt4rec_assets.study_report.members",
        lambda into, logs: [
            Member(n, days) for n in ("simulator", *(f"simulator-data-{k}" for k in range(1, 5)))
        ],
    )
    found = Research.finished_cells
    monkeypatch.setattr(
        Research,
        "finished_cells",
        lambda self, share: (
            [cell for cell in found(self, share)[0] if cell.variant != "base_cvr"],
            ["base_cvr"],
        ),
    )

    text = report(home.parent, None)

    assert "the single-task rows are not complete" in text
    assert "rows not complete: base_cvr" in text
    assert "### 50% of the CVR labels" not in text
