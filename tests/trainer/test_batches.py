"""What is cut from a data set: columns, buckets, moments and their order."""

import numpy as np
import pytest
import torch

from trainer import batches
from trainer import buckets
from trainer import config as config_lib
from trainer import dataset


def _data(tmp_path, seed=0, equal_times='moment'):
    """Users of 1 to 30 events, many of them at the same times."""
    rng = np.random.default_rng(seed)
    lines = ['user,item,time,price,liked']
    for user, count in enumerate(rng.integers(1, 31, 12)):
        times = 1_500_000_000 + np.sort(rng.integers(0, 8, count)) * 40_000
        lines += [f'{user},{rng.integers(9)},{time},{rng.integers(99)},'
                  f'{rng.choice(["", "0", "1"])}' for time in times]
    (tmp_path / 'train.csv').write_text('\n'.join(lines) + '\n')
    return dataset.read(_config(equal_times), tmp_path)


def _config(equal_times='moment'):
    return config_lib.from_dict({
        'name': 'test', 'data': {
            'min_item_count': 1, 'labels': {'next': 'liked'},
            'equal_times': equal_times},
        'model': {'event_features': ['price']}})


def _windows(data, seed):
    """Some of every history, from anywhere to anywhere."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(data.offsets[:-1], data.offsets[1:])
    ends = rng.integers(starts, data.offsets[1:]) + 1
    return starts, ends - starts


def _of_event(data, event):
    """What a batch should say of an event, counted by hand."""
    user = int(np.searchsorted(data.offsets, event, side='right')) - 1
    history = range(data.offsets[user], data.offsets[user + 1])
    times = data.times_us
    same = [other for other in history if times[other] == times[event]]
    if data.ordered:
        same = [event]

    def gap(earlier, later):
        return int(buckets.gap_bucket(buckets.seconds_between(
            times[earlier], times[later]))) if earlier in history and (
                later in history) else 0
    return {'gaps': gap(event - 1, event), 'nexts': gap(event, event + 1),
            'counts': int(buckets.count_bucket(event - history[0] + 1)),
            'first': same[0], 'size': len(same),
            'seconds': times[event] // 1_000_000,
            'next_seconds': times[min(event + 1, history[-1])] // 1_000_000}


@pytest.mark.parametrize('equal_times', ['moment', 'order'])
def test_a_batch_says_what_the_times_of_whole_histories_do(tmp_path,
                                                           equal_times):
    data = _data(tmp_path, equal_times=equal_times)
    source = batches.Source(data, 'cpu')
    for seed in range(5):
        starts, lengths = _windows(data, seed)
        batch = source.cut(starts, lengths, 31)
        for row, (start, length) in enumerate(zip(starts, lengths)):
            assert batch.valid[row].tolist() == [True] * length + [False] * (
                31 - length)
            for column in range(31):
                event = start + min(column, length - 1)
                expected = _of_event(data, event)
                expected['first'] -= start
                assert {name: int(getattr(batch, name)[row, column])
                        for name in expected} == expected
                assert batch.events[row, column] == event
                assert batch.rows[row, column] == data.rows[event]
                assert batch.features[row, column].tolist() == (
                    data.event_features[event].tolist())


def test_mapped_columns_give_the_same_batches(tmp_path):
    held = _data(tmp_path)
    held.save(tmp_path / 'data')
    mapped = dataset.load(tmp_path / 'data')
    assert not mapped.rows.flags.writeable
    starts, lengths = _windows(held, 1)
    made = [batches.Source(data, 'cpu', budget) for data, budget in (
        (held, None), (mapped, None), (mapped, 0))]
    for source in made:
        source.shuffle_moments(torch.Generator().manual_seed(3))
    cut = [vars(source.cut(starts, lengths)) for source in made]
    for name, values in cut[0].items():
        for other in cut[1:]:
            assert torch.equal(values, other[name]), name
            assert values.dtype == other[name].dtype


def test_a_shuffled_batch_has_each_moments_events_in_any_order(tmp_path):
    data = _data(tmp_path)
    source = batches.Source(data, 'cpu')
    source.shuffle_moments(torch.Generator().manual_seed(1))
    starts, lengths = _windows(data, 2)
    plain = batches.Source(data, 'cpu').cut(starts, lengths)
    moment = np.array([_of_event(data, event)['first']
                       for event in range(data.num_events)])
    for _ in range(20):
        batch = source.cut(starts, lengths)
        for name in ('places', 'gaps', 'nexts', 'first', 'size', 'seconds'):
            assert torch.equal(getattr(batch, name), getattr(plain, name))
        assert np.array_equal(moment[batch.events], moment[batch.places])
        for row, valid in zip(batch.events, batch.valid):
            assert len(set(row[valid].tolist())) == int(valid.sum())
        assert np.array_equal(batch.rows, data.rows[batch.events])


def test_every_order_of_a_moment_is_as_likely_where_a_window_cuts_it(tmp_path):
    (tmp_path / 'train.csv').write_text('user,item,time\n' + ''.join(
        f'a,{item},{time}\n' for item, time in enumerate([1, 5, 5, 5, 5, 9])))
    data = dataset.read(config_lib.from_dict(
        {'name': 'test', 'data': {'min_item_count': 1}}), tmp_path)
    source = batches.Source(data, 'cpu')
    source.shuffle_moments(torch.Generator().manual_seed(1))
    draws = 6_000
    # The window is of events 2 and 3, in the middle of the moment.
    batch = source.cut(np.full(draws, 2), np.full(draws, 2))
    pairs, counts = np.unique(batch.events.numpy(), axis=0, return_counts=True)
    assert pairs.tolist() == [[one, other] for one in range(1, 5)
                              for other in range(1, 5) if one != other]
    # 500 of each are expected, with a standard deviation of 21.
    assert abs(counts - draws / 12).max() < 5 * 21.5


def test_what_has_an_order_is_never_shuffled(tmp_path):
    data = _data(tmp_path, equal_times='order')
    source = batches.Source(data, 'cpu')
    source.shuffle_moments(torch.Generator().manual_seed(1))
    batch = source.cut(*_windows(data, 2))
    assert torch.equal(batch.events, batch.places)


def test_items_and_labels_are_counted(tmp_path):
    data = _data(tmp_path)
    source = batches.Source(data, 'cpu')
    assert source.item_counts().tolist() == np.bincount(
        data.rows, minlength=len(data.item_ids) + 1).tolist()
    assert source.label_counts().tolist() == (
        ~np.isnan(data.labels)).sum(0).tolist()
