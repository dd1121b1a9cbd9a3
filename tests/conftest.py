"""What all tests may ask for: a store of objects, which is started only where one does."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "support"))

from buckets import Store, without_aws

from lt4rec_core.data import objects


@pytest.fixture(scope="session")
def store():
    with Store() as running:
        yield running


@pytest.fixture
def in_store(store, monkeypatch, tmp_path):
    """The process as one that uses the store, with a working folder of the test's own."""
    for name in set(os.environ) - set(without_aws()):
        monkeypatch.delenv(name)
    for name, value in store.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LT4REC_LOCAL", str(tmp_path / "working"))
    objects.forget()
    yield store
    objects.forget()
