import sys
from pathlib import Path

import pytest
import torch

from lt4rec_core.model.pages import prefer_huge_pages

SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def flags_of(address):
    """What the system knows of the mapping an address lies in."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            start, end = (int(part, 16) for part in first.split("-"))
            inside = start <= address < end
        elif inside and first == "VmFlags:":
            return line.split()[1:]
    return []


@pytest.mark.skipif(sys.platform != "linux" or not SETTING.exists(), reason="only Linux has such pages")
def test_the_system_is_asked_for_large_pages():
    memory = prefer_huge_pages(torch.empty(4 * 2**20))  # 16 MiB
    assert "hg" in flags_of(memory.data_ptr() + 8 * 2**20)


@pytest.mark.parametrize("n", [0, 1, 4 * 2**20])
def test_memory_of_any_size_stays_what_it_was(n):
    memory = torch.empty(n)
    assert prefer_huge_pages(memory) is memory
    assert torch.equal(memory.fill_(1.5), torch.full((n,), 1.5))
