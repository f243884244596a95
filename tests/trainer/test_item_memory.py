"""The item memory, held to a plain implementation of docs/model.md, 11."""

import types

import numpy as np
import pytest
import torch

from trainer import buckets
from trainer import hyper as hyper_lib
from trainer import item_history
from trainer import item_memory

DAY = 86_400


def _settings(entries=8, lives=(7 * DAY, 60 * DAY)):
    return hyper_lib.ItemMemory(entries, lives)


def _history(rng, events, items):
    """Rows and seconds: items again and again, some twice at a time, some
    outside the catalogue, some late."""
    rows = rng.zipf(1.3, events) % items
    seconds = 1_500_000_000 + np.cumsum(
        rng.integers(0, 5 * DAY, events) * (rng.random(events) < .7))
    late = rng.random(events) < .05
    return rows, seconds - late * DAY


class _Plain:
    """Keeps every time of every item, and computes all anew when asked."""

    def __init__(self, settings):
        self.settings, self.kept, self.slots = settings, {}, []

    def fold(self, row, second):
        if row == 0:
            return
        if row not in self.kept:
            if len(self.slots) == self.settings.entries:
                least = min(self.slots, key=lambda r: (
                    self.log_weight(r), -r))
                self.slots[self.slots.index(least)] = row
                del self.kept[least]
            else:
                self.slots.append(row)
            self.kept[row] = []
        self.kept[row].append(second)

    def ages(self, row, now):
        """Of each time: how much of it the newest time so far has aged it."""
        reached, counts = self.kept[row][0], [0.]
        for second in self.kept[row][1:]:
            passed = max(0, second - reached)
            counts = [age + passed for age in counts] + [0.]
            reached = max(reached, second)
        return np.array(counts) + max(0, now - reached)

    def log_weight(self, row):
        life, newest = self.settings.half_lives_s[-1], max(self.kept[row])
        return np.log((.5 ** (self.ages(row, newest) / life)).sum()) + (
            np.log(2) * newest / life)

    def facts(self, row, now):
        if row not in self.kept:
            return np.zeros(self.settings.num_facts)
        times = self.kept[row]
        since, age = max(0, now - max(times)), max(0, now - min(times))
        lives = self.settings.half_lives_s
        due = since * (len(times) - 1) / max(1, max(times) - min(times))
        return np.array([
            1, np.log(1 + len(times)),
            *(np.log(1 + (.5 ** (self.ages(row, now) / life)).sum())
              for life in lives),
            *(.5 ** (since / life) for life in lives),
            np.log(1 + age) / 16, due / (1 + due)])


@pytest.mark.parametrize('seed', range(4))
def test_memory_has_what_all_times_give(seed):
    rng = np.random.default_rng(seed)
    rows, seconds = _history(rng, 400, 60)
    settings = _settings(entries=16)
    memory, plain = item_memory.Memory(settings), _Plain(settings)
    for row, second in zip(rows.tolist(), seconds.tolist()):
        memory.fold(row, second)
        plain.fold(row, second)
        now = second + int(rng.integers(0, 90 * DAY))
        assert [entry.row for entry in memory.entries] == plain.slots
        asked = [row, *rng.integers(0, 60, 3).tolist()]
        np.testing.assert_allclose(
            memory.facts(asked, now),
            [plain.facts(item, now) for item in asked], rtol=2e-5, atol=2e-5)


def test_who_has_been_had_least_of_late_leaves_and_of_equals_the_higher_row():
    settings = _settings(entries=8)
    memory = item_memory.Memory(settings)
    for row in (5, 3, 9, 4, 8, 2, 7, 6):
        memory.fold(row, 1000)
    memory.fold(9, 1000)
    assert memory.fold(10, 1000)[1] == 8
    assert memory.fold(11, 1000 + DAY)[1] == 10
    # What was bought often long ago is worth less than once today.
    memory.fold(1, 1000 + 900 * DAY)
    for row in range(20, 27):
        memory.fold(row, 1000 + 900 * DAY)
    assert 9 not in [entry.row for entry in memory.entries]


def test_a_copy_is_folded_into_alone():
    memory = item_memory.Memory(_settings())
    memory.fold(1, 0)
    other = memory.copy()
    other.fold(1, 5)
    other.fold(2, 5)
    assert [(entry.row, entry.count) for entry in memory.entries] == [(1, 1)]
    assert len(other.entries) == 2


def _histories(rng, lengths, items):
    """What History takes of a Dataset: users of so many events, some late."""
    parts = [_history(rng, length, items) for length in lengths]
    return types.SimpleNamespace(
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        rows=np.concatenate([part[0] for part in parts]).astype(np.int32),
        times_us=np.concatenate([part[1] for part in parts]) * 1_000_000 + 7,
        item_ids=np.arange(items), num_events=sum(lengths))


@pytest.mark.parametrize('held_events', [10_000, 0])
def test_history_says_what_memory_says_before_any_event(held_events):
    rng = np.random.default_rng(5)
    settings = _settings()
    data = _histories(rng, [120, 0, 1, 60], 40)
    history = item_history.History(settings, data, 'cpu', held_events)
    for begin, end in zip(data.offsets[:-1], data.offsets[1:]):
        memory = item_memory.Memory(settings)
        for event in range(begin, end):
            second = int(data.times_us[event] // 1_000_000)
            memory.fold(int(data.rows[event]), second)
            asked = rng.integers(0, 41, 12)
            now = second + 3 * DAY
            found = history.facts(torch.tensor([0, event + 1]),
                                  torch.tensor(np.array([asked, asked])),
                                  torch.tensor([now, now]))
            assert not found[0].any()  # Nobody's.
            assert torch.equal(found[1],
                               memory.facts(asked.tolist(), now).float())


def _folded_one_by_one(settings, data):
    """count, first_s, decayed and leaves of each event, by Memory."""
    total = data.num_events
    found = [[1, int(second), [1.] * len(settings.half_lives_s), total]
             for second in data.times_us // 1_000_000]
    for begin, end in zip(data.offsets[:-1], data.offsets[1:]):
        memory, newest = item_memory.Memory(settings), {}
        for event in range(begin, end):
            row = int(data.rows[event])
            entry, gone = memory.fold(row, found[event][1])
            if gone is not None:
                found[newest.pop(gone)][3] = event
            if entry is not None:
                newest[row] = event
                found[event][:3] = entry.count, entry.first_s, entry.decayed
    return found


@pytest.mark.parametrize('seed', range(3))
def test_folding_together_gives_the_bits_of_folding_one_by_one(seed):
    rng = np.random.default_rng(seed)
    # Users with fewer items than entries, and with many more.
    settings = _settings(entries=16, lives=(DAY, 7 * DAY, 60 * DAY))
    data = _histories(rng, [5, 300, 0, 40, 1_500], 90)
    expected = _folded_one_by_one(settings, data)
    found = item_history.occurrences(
        settings, data.offsets, data.rows, data.times_us // 1_000_000, 91)
    leaves = set()
    for at, event in enumerate(found.order.tolist()):
        if data.rows[event]:
            leaves.add(int(found.leaves[at]))
            assert [found.count[at], found.first_s[at],
                    found.decayed[at].tolist(), found.leaves[at]] == (
                        expected[event])
    assert len(leaves) > 300  # Items did have to leave.


@pytest.mark.parametrize('gap', [0, 1, 2, 3, 6, 7, 1_000, 1_000_000])
def test_facts_are_of_the_earliest_second_with_the_same_bucket(gap):
    bucket = int(buckets.gap_bucket(gap))
    earliest = item_memory.as_of(0, bucket)
    assert earliest <= gap
    assert int(buckets.gap_bucket(earliest)) == bucket
    assert earliest == 0 or int(buckets.gap_bucket(earliest - 1)) < bucket


@pytest.mark.parametrize('values, words', [
    ({'entries': 12}, 'item_memory.entries is 12'),
    ({'half_lives_s': [60, 60]}, 'item_memory.half_lives_s is (60, 60)'),
    ({'half_lives_s': []}, 'item_memory.half_lives_s'),
    ({'half_lives_s': [.5]}, 'item_memory.half_lives_s'),
    ({'items': 8}, "model.item_memory is 'items'")])
def test_what_is_no_memory_is_refused_by_name(values, words):
    with pytest.raises(ValueError) as error:
        hyper_lib.from_dict({'item_memory': values})
    assert words in str(error.value)
    with pytest.raises(ValueError, match='item_memory'):
        hyper_lib.from_dict({
            'target_aware': hyper_lib.OFF, 'head_width': 0,
            'item_memory': {'entries': 8}})
