import pytest

from lt4rec_assets.cluster_settings import RayConfig
from lt4rec_core.errors import ConfigError
from tests.assets.conftest import SMALL, make_settings


def test_without_the_variable_there_is_no_cluster(tmp_path):
    settings = make_settings(tmp_path)

    assert settings.ray_address is None
    assert settings.ray == RayConfig(workers=1, cpus=1, memory_gb=0, retries=2, checkpoint_every=1)


@pytest.mark.parametrize("address", ["auto", "10.0.0.5:6379", "head.example.org:6379"])
def test_the_address_comes_from_the_variable_the_rest_from_the_file(tmp_path, address):
    settings = make_settings(
        tmp_path, SMALL + "[ray]\nworkers = 4\nmemory_gb = 6\n", LT4REC_RAY=f" {address} "
    )

    assert settings.ray_address == address
    assert settings.ray == RayConfig(workers=4, memory_gb=6)


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port", "http://head:8265", "a@b:1"])
def test_what_is_no_address_of_a_head_is_refused(tmp_path, address):
    with pytest.raises(ConfigError, match="neither auto nor the address of a cluster's head"):
        make_settings(tmp_path, LT4REC_RAY=address)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("workers = 0", "workers is a whole number, at least 1, got 0"),
        ("workers = true", "workers is a whole number"),
        ("cpus = 0", "cpus is a whole number, at least 1"),
        ("retries = -1", "retries is a whole number, at least 0"),
        ("checkpoint_every = 1.5", "checkpoint_every"),
        ("memory_gb = -1", "memory_gb must not be negative"),
        ('address = "auto"', "address"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, line, message):
    with pytest.raises(ConfigError, match=message):
        make_settings(tmp_path, SMALL + f"[ray]\n{line}\n")
