"""A small catalogue and samples of it, for whatever learns."""

import pytest
import torch

from lt4rec_core.catalogue import Feature, FeatureCatalogue
from lt4rec_core.data.loading import SampleSet
from lt4rec_core.model.network import NetworkConfig


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def catalogue():
    """Four categorical features, one unknown when serving, and a list that shares the videos' rows."""
    return FeatureCatalogue(
        [
            Feature(name="user_id", side="user", buckets=40),
            Feature(name="history", side="user", kind="list", shares="video_id", max_length=4),
            Feature(name="video_id", side="video", buckets=30),
            Feature(name="page", side="context", values=("home", "follow")),
            Feature(name="position", side="context", bins=(1, 2, 3, 4), known_when_serving=False),
        ]
    )


@pytest.fixture(scope="session")
def small_network():
    return NetworkConfig(embedding_dim=4, hidden=(16, 8), embedding_std=0.1)


@pytest.fixture(scope="session")
def make_samples(catalogue):
    """``make_samples(n, seed)``: clicks depend on the user, watch ratios of clicks on the video."""

    def make(n, seed=0):
        g = torch.Generator().manual_seed(seed)
        columns = [f for f in catalogue.features if f.kind == "categorical"]
        ids = [torch.randint(catalogue.embeddings[f.embedding], (n,), generator=g) for f in columns]
        user, video = ids[0], ids[1]
        click = (torch.rand(n, generator=g) < torch.where(user % 2 == 0, 0.8, 0.2)).float()
        watch = torch.where(video % 2 == 0, 0.8, 0.3) + 0.2 * (torch.rand(n, generator=g) - 0.5)
        watch[click == 0] = float("nan")
        history = torch.randint(catalogue.embeddings["video_id"], (n, 4), generator=g)
        labels = {"is_click": click, "watch_ratio": watch}
        return SampleSet(torch.stack(ids, 1).int(), {"m_history": history.int()}, labels)

    return make
