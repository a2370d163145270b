"""Many cache entries in few files."""

from pathlib import Path

import pytest
import torch

from likeness.train import cache as module
from likeness.train.cache import Cache, key_of


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, torch.Tensor]]:
    """Ten packed entries, in shards of at most a few."""
    monkeypatch.setattr(module, "LOOSE_LIMIT", 10)
    monkeypatch.setattr(module, "SHARD_BYTES", 1000)
    entries = {key_of(n): {"latents": torch.full((4, n + 1), float(n)), "mask": torch.tensor([n])} for n in range(10)}
    cache = Cache(tmp_path)
    for number, (key, entry) in enumerate(entries.items()):
        cache.pack()
        assert len(list(tmp_path.glob("??/*"))) == number, "few entries stay files of their own"
        cache.put(key, entry)
    cache.pack()
    return entries


def assert_all_there(cache: Cache, entries: dict[str, dict[str, torch.Tensor]]) -> None:
    for key, entry in entries.items():
        assert cache.has(key)
        found = cache.get(key)
        assert set(found) == set(entry) and all(torch.equal(found[n], entry[n]) for n in entry)


def test_packed_entries_are_as_they_were(tmp_path: Path, full: dict[str, dict[str, torch.Tensor]]) -> None:
    assert not list(tmp_path.glob("??/*")) and 1 < len(list(tmp_path.glob("shards/*"))) < 10
    assert_all_there(Cache(tmp_path), full)
    assert not Cache(tmp_path).has(key_of("other"))
    with pytest.raises(FileNotFoundError):
        Cache(tmp_path).get(key_of("other"))


def test_a_run_that_shares_the_folder_finds_what_was_packed(
    tmp_path: Path, full: dict[str, dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOSE_LIMIT", 1)
    key, other = key_of("late"), Cache(tmp_path)
    packer = Cache(tmp_path)
    packer.put(key, {"latents": torch.ones(3)})
    packer.pack()
    assert torch.equal(other.get(key)["latents"], torch.ones(3))


def test_a_shard_that_is_cut_short_is_made_again(tmp_path: Path, full: dict[str, dict[str, torch.Tensor]]) -> None:
    shard = min(tmp_path.glob("shards/*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    cache = Cache(tmp_path)
    lost = [key for key in full if not cache.has(key)]
    assert 0 < len(lost) < 10 and not shard.exists()
    for key in lost:
        cache.put(key, full[key])
    assert_all_there(cache, full)


def test_stopped_between_shard_and_clearing_up(
    tmp_path: Path, full: dict[str, dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOSE_LIMIT", 1)
    cache = Cache(tmp_path)
    cache.put(key_of("late"), {"latents": torch.ones(3)})

    def stop(path: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", stop)
        with pytest.raises(KeyboardInterrupt):
            cache.pack()
    again = Cache(tmp_path)
    again.pack()
    assert not list(tmp_path.glob("??/*"))
    assert_all_there(Cache(tmp_path), full | {key_of("late"): {"latents": torch.ones(3)}})
