"""What each choice is worth: a row's frozen settings with one thing changed, judged on the validation days.

The test days are not looked at: an ablation explains a result, it is not one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lt4rec_core.config import digest_of
from lt4rec_core.evaluation.paired import paired_difference
from lt4rec_core.experiments.fitting import FitSettings, fit, judge
from lt4rec_core.experiments.race import Race
from lt4rec_core.training import modelfile

Change = Callable[[FitSettings], FitSettings]

_OTHER_LOSS = {"soft_bce": "mse", "mse": "soft_bce"}


def _training(settings: FitSettings, **changes: object) -> FitSettings:
    return replace(settings, training=replace(settings.training, **changes))  # type: ignore[arg-type]


CHANGES: Mapping[str, Change] = {
    "no products": lambda s: replace(s, network=replace(s.network, interaction="none")),
    "products of user and video": lambda s: replace(s, network=replace(s.network, interaction="user_video")),
    "the other CVR loss": lambda s: _training(s, cvr_loss=_OTHER_LOSS[s.training.cvr_loss]),
    "Adagrad from 0": lambda s: _training(s, adagrad_initial=0.0),
    "Adagrad from 0.1": lambda s: _training(s, adagrad_initial=0.1),
    "position never dropped": lambda s: _training(s, unknown_dropout=0.0),
    "1 pass": lambda s: replace(s, epochs=1),
    "2 passes": lambda s: replace(s, epochs=2),
    "4 passes": lambda s: replace(s, epochs=4),
}
"""One thing each. What a change leaves as it was is left out of the table."""


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A row with one thing changed, against itself."""

    variant: str
    change: str
    metric: str
    n_seeds: int
    value: float
    """Mean over seeds, on the validation days, trained on the train days."""
    difference: float
    """To the row as it was frozen: below zero is better for an MSE, above for an AUC."""
    ci_low: float
    ci_high: float
    """95 % t interval over seeds, pairs of one seed."""


def ablate(
    race: Race,
    name: str,
    seeds: Sequence[int],
    changes: Mapping[str, Change] = CHANGES,
    on_fit: Callable[[str, int, Mapping[str, float]], None] | None = None,
) -> list[Ablation]:
    """Change one thing at a time. What was measured before is read.

    Args:
        race: whose data and frozen settings; its test days are not loaded.
        name: the row.
        seeds: at least two.
        changes: name to what changes.
        on_fit: called with change (empty for the row itself), seed and metrics.

    Raises:
        ConfigError: no such row.
        TrainingError, MaskError: as ``fit``.
    """
    frozen = race.tune(name).settings

    def measured(change: str, settings: FitSettings) -> list[Mapping[str, float]]:
        found = []
        for seed in seeds:
            found.append(_measure(race, settings, seed))
            if on_fit:
                on_fit(change, seed, found[-1])
        return found

    before = measured("", frozen)
    rows = []
    for change, make in changes.items():
        changed = make(frozen)
        if changed == frozen:
            continue
        after = measured(change, changed)
        for metric in before[0]:
            values = [each[metric] for each in after]
            found = paired_difference(values, [each[metric] for each in before])
            rows.append(
                Ablation(
                    variant=name, change=change, metric=metric, n_seeds=found.n,
                    value=sum(values) / len(values),
                    difference=found.mean, ci_low=found.low, ci_high=found.high,
                )
            )  # fmt: skip
    return rows


def _measure(race: Race, settings: FitSettings, seed: int) -> Mapping[str, float]:
    """Trained on the train days, judged on the validation days; kept below the race's records."""
    digest = digest_of(settings.to_mapping())
    identity = {"kind": "ablation", "settings": digest, "seed": seed}
    folder = race.records.root / "ablations" / settings.variant / f"{digest[:16]}-{seed}"
    manifest = modelfile.read_manifest(folder, f"an ablation of {settings.variant!r}")
    if manifest is not None and manifest["identity"] == identity:
        return dict(manifest["metrics"])
    data = race.data
    fitted = fit(settings, data, data.train, seed, race.tickets)
    metrics = judge(data.valid, fitted.predict(data.valid))
    modelfile.publish(folder, {}, identity, {"metrics": metrics})
    return metrics
