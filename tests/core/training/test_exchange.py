import torch


def test_sums_are_the_same_bits_for_all(side_by_side):
    parts = [torch.rand(1000, generator=torch.Generator().manual_seed(rank)) for rank in range(3)]

    def work(exchange):
        mine = parts[exchange.rank].clone()
        exchange.add(mine)
        return mine

    sums = side_by_side(3, work)

    assert torch.equal(sums[0], sums[1])
    assert torch.equal(sums[0], sums[2])
    assert torch.allclose(sums[0], sum(parts), atol=1e-6)


def test_gathered_values_come_by_rank(side_by_side):
    gathered = side_by_side(2, lambda exchange: exchange.gather(torch.tensor([exchange.rank, 7])))

    assert [[part.tolist() for part in parts] for parts in gathered] == [[[0, 7], [1, 7]]] * 2


def test_a_worker_knows_its_rank_and_how_many_there_are(side_by_side):
    assert side_by_side(2, lambda exchange: (exchange.rank, exchange.workers)) == [(0, 2), (1, 2)]
