import pytest
import torch

from lt4rec_core.errors import MaskError
from lt4rec_core.model.masks import check_fits, density, keep_all, layer_densities, mask_digest, overlap

KEEP, DROP = True, False


def mask(**layers):
    return {name: torch.tensor(bits) for name, bits in layers.items()}


def test_density_is_the_share_of_weights_kept():
    m = mask(a=[KEEP, DROP, DROP, DROP], b=[KEEP])

    assert density(m) == 2 / 5
    assert layer_densities(m) == {"a": 1 / 4, "b": 1.0}


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(MaskError, match=r"mask for 'a' has shape \(2,\), its weight has \(3,\)"):
        check_fits(keep_all({"a": torch.ones(2)}), {"a": torch.ones(3)})


def test_a_mask_of_other_layers_is_refused():
    with pytest.raises(MaskError, match="Was the ticket found with another network config"):
        check_fits(keep_all({"a": torch.ones(2)}), {"b": torch.ones(2)})


def test_a_mask_that_is_not_bool_is_refused():
    with pytest.raises(MaskError, match=r"must be bool, got torch\.float32"):
        check_fits({"a": torch.ones(2)}, {"a": torch.ones(2)})


def test_an_emptied_layer_is_an_error():
    with pytest.raises(MaskError, match="keeps none of its 2 weights"):
        check_fits(mask(a=[DROP, DROP]), {"a": torch.ones(2)})


def test_overlap_counts_every_weight_once():
    first = mask(a=[KEEP, KEEP, DROP, DROP], b=[KEEP, DROP])
    second = mask(a=[KEEP, DROP, KEEP, DROP], b=[KEEP, DROP])

    a, b, total = overlap(first, second)

    assert (a.shared, a.only_first, a.only_second, a.unused) == (1, 1, 1, 1)
    assert a.jaccard == 1 / 3
    assert b.jaccard == 1.0
    assert (total.layer, total.n, total.shared, total.unused) == ("all", 6, 2, 2)


def test_jaccard_by_chance_is_that_of_independent_masks_of_these_densities():
    half = mask(a=[KEEP, KEEP, DROP, DROP])
    other = mask(a=[KEEP, DROP, KEEP, DROP])

    assert overlap(half, other)[0].jaccard_by_chance == pytest.approx(0.25 / 0.75)


def test_a_mask_digest_tells_bits_and_names_apart():
    digests = {
        mask_digest(mask(a=[KEEP, DROP])),
        mask_digest(mask(a=[DROP, KEEP])),
        mask_digest(mask(b=[KEEP, DROP])),
        mask_digest(mask(a=[[KEEP, DROP]])),
    }

    assert len(digests) == 4
    assert mask_digest(mask(a=[KEEP, DROP])) in digests
