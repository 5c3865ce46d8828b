"""Rows of a pool of KV caches: empty when taken, free when their dialogue is gone."""

import copy
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models.kv_cache import KeyValues, KVPool


def pool_of(num_rows: int, capacity: int = 8) -> KVPool:
    return KVPool(num_rows, 2, 2, 4, capacity, "cpu", torch.float32)


def positions(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(1, 2, count, 4), torch.randn(1, 2, count, 4)


def test_a_row_is_free_once_all_its_caches_are_gone() -> None:
    pool = pool_of(2)
    first, second = pool.take(), pool.take()
    assert first is not None and second is not None
    assert pool.num_free == 0
    last = first.pop()
    del first
    assert pool.num_free == 0
    del last
    assert pool.num_free == 1


def test_a_row_is_empty_when_it_is_taken() -> None:
    """A value that is not finite would spread to the next dialogue through masked positions."""
    pool = pool_of(1)
    taken = pool.take()
    assert taken is not None
    for cache in taken:
        cache.append(*(torch.full_like(each, torch.nan) for each in positions(3)))
    assert pool.keys[0].isnan().any()
    del taken, cache
    taken = pool.take()
    assert taken is not None and [cache.length for cache in taken] == [0, 0]
    assert not any(each.any() for each in (*pool.keys, *pool.values))


def test_a_full_pool_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(1)
    taken = pool.take()
    with caplog.at_level(logging.WARNING):
        assert pool.take() is None and pool.take() is None
    assert len(caplog.records) == 1 and "all 1 caches" in caplog.text
    del taken
    assert pool.take() is not None


def test_a_cache_in_a_pool_equals_one_with_its_own_buffers() -> None:
    torch.manual_seed(0)
    pool = pool_of(3, capacity=8)
    rows = [pool.take() for _ in range(3)]
    own = KeyValues(torch.zeros(1, 2, 4, 8), torch.zeros(1, 2, 8, 4))
    assert rows[1] is not None
    pooled = rows[1][0]
    for cache in (pooled, own):
        torch.manual_seed(1)
        cache.append(*positions(5))
        cache.truncate(4)
        cache.append(*positions(3))
        cache.drop(1, 3)
    for cache in (pooled, pooled.copy()):
        assert cache.length == own.length == 5
        assert torch.equal(cache.keys[..., :5], own.keys[..., :5])
        assert torch.equal(cache.values[:, :, :5], own.values[:, :, :5])
    assert pooled.copy().row is None
    index = pooled.row.index if pooled.row else -1
    assert torch.equal(pool.keys[0][index], pooled.keys[0])
    others = [number for number in range(4) if number != index]
    assert not pool.keys[0][others].any() and not pool.values[0][others].any()


def test_a_cache_that_outgrows_its_row_leaves_the_pool() -> None:
    pool = pool_of(1, capacity=8)
    taken = pool.take()
    assert taken is not None
    for cache in taken:
        cache.append(*positions(8))
    kept = copy.copy(taken[0])
    for cache in taken:
        cache.append(*positions(1))
        assert cache.row is None and cache.values.shape[2] == 16
    assert torch.equal(taken[0].keys[..., :8], kept.keys)
    del kept
    assert pool.num_free == 1


def test_threads_never_share_a_row() -> None:
    pool, lock, used = pool_of(4), threading.Lock(), set[int]()

    def churn(number: int) -> int:
        taken = 0
        for _ in range(200):
            caches = pool.take()
            if caches is None:
                continue
            assert caches[0].row is not None
            index = caches[0].row.index
            with lock:
                assert index not in used
                used.add(index)
            taken += 1
            with lock:
                used.remove(index)
            del caches
        return taken

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(churn, range(8))) > 200
    assert pool.num_free == 4
