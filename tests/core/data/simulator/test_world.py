from datetime import date

import numpy as np
import pytest

from lt4rec_core.data.simulator.settings import SimulatorSettings
from lt4rec_core.data.simulator.world import (
    CATEGORIES,
    N_TRAITS,
    USER_ATTRIBUTES,
    choose,
    correlated,
    generator,
    make_world,
    mix,
)

SETTINGS = SimulatorSettings()


def test_random_numbers_depend_on_seed_purpose_and_key_only():
    def first(seed, *key):
        return generator(SimulatorSettings(seed=seed), *key).random()

    assert first(1, 2, 3) == first(1, 2, 3)
    assert len({first(1, 2, 3), first(2, 2, 3), first(1, 3, 3), first(1, 2, 4)}) == 4


@pytest.mark.parametrize("name", [*USER_ATTRIBUTES, "category"])
def test_traits_of_attribute_values_have_mean_0_and_variance_1(name):
    counts = list((CATEGORIES if name == "category" else USER_ATTRIBUTES[name]).values())
    levels = make_world(SETTINGS).levels[name]

    assert levels.shape == (len(counts), *N_TRAITS)
    np.testing.assert_allclose(np.average(levels, axis=0, weights=counts), 0, atol=1e-12)
    np.testing.assert_allclose(np.average(levels**2, axis=0, weights=counts), 1)


def test_choosing_follows_the_weights_and_never_takes_a_weight_of_0():
    chosen = choose(np.random.default_rng(0), [1, 0, 3], 40_000)

    np.testing.assert_allclose(np.bincount(chosen, minlength=3) / 40_000, [0.25, 0, 0.75], atol=0.01)
    assert not (chosen == 1).any()


def test_correlated_values_have_the_correlation_asked_for():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(50_000)

    assert np.corrcoef(values, correlated(values, 0.6, rng))[0, 1] == pytest.approx(0.6, abs=0.01)


def test_a_mix_of_traits_keeps_the_variance_at_1():
    rng = np.random.default_rng(0)
    shown = rng.standard_normal((20_000, *N_TRAITS))

    mixed = mix(rng, {"shown": (shown, 0.3)})

    assert mixed.var() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(mixed.ravel(), shown.ravel())[0, 1] ** 2 == pytest.approx(0.3, abs=0.01)


def test_no_drift_stands_still_and_drift_moves_day_by_day_within_its_bounds():
    world = make_world(SETTINGS)
    monday, tuesday = date(2026, 1, 5), date(2026, 1, 6)

    assert not world.swing(monday, 0.0).any()
    assert (world.swing(monday, 1.0) != world.swing(tuesday, 1.0)).all()
    assert np.abs(world.swing(monday, 2.0)).max() <= 2.0


@pytest.mark.parametrize("name", ["age_bucket", "country", "device", "category", "author", "tag"])
def test_main_effects_of_attribute_values_do_not_correlate_by_chance(name):
    counts = list((CATEGORIES if name == "category" else USER_ATTRIBUTES.get(name, {})).values())
    mains = make_world(SETTINGS).levels[name][:, :, -1]
    weights = np.array(counts or [1] * len(mains))

    np.testing.assert_allclose(mains.T @ (mains * weights[:, None]) / weights.sum(), np.eye(3), atol=1e-12)
