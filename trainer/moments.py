"""What the times of a window's events say: moments and buckets.

A moment is a run of one user's events with equal times: a shopping basket,
say. None of this changes with the order of the events within a moment.
"""

import collections

import numpy as np
import torch

from trainer import buckets

# Of B windows, all [B, 1], places in the data set: a window is
# [start, start + length), its user's events are [user_start, user_end), and
# [first_start, last_end) are those of all moments that it has a part of.
Edges = collections.namedtuple('Edges', [
    'start', 'length', 'user_start', 'user_end', 'first_start', 'last_end'])


def edges(offsets, times_us, starts, lengths, ordered):
    """Edges, as arrays, of windows [start, start + length), both [B].

    offsets, times_us: of a Dataset, whose events are moments of their own if
    it is ordered.
    """
    starts, lengths = np.asarray(starts), np.asarray(lengths)
    users = np.searchsorted(offsets, starts, side='right') - 1
    begins, ends = offsets[users], offsets[users + 1]
    firsts, lasts = starts, starts + lengths
    if not ordered:
        firsts, lasts = zip(*(
            _whole(times_us, *window) for window in zip(
                starts.tolist(), (starts + lengths).tolist(), begins.tolist(),
                ends.tolist())))
    return Edges(*(np.asarray(values, np.int64)[:, None] for values in (
        starts, lengths, begins, ends, firsts, lasts)))


def _whole(times_us, start, end, user_start, user_end):
    """Where the first moment of [start, end) begins, and the last one ends."""
    return (user_start + int(np.searchsorted(times_us[user_start:start + 1],
                                             times_us[start])),
            end + int(np.searchsorted(times_us[end:user_end],
                                      times_us[end - 1], side='right')))


def found(windows, places, times_us, ordered):
    """{'first', 'size'} [B, n] of the moments of events: first is the column
    of the moment's first event, may be negative where the window cuts the
    moment; size counts its events.

    windows: Edges, as tensors; places, times_us: [B, n] of the events.
    """
    if ordered:
        return {'first': places - windows.start,
                'size': torch.ones_like(places)}
    new = times_us[:, 1:] != times_us[:, :-1]
    firsts = torch.where(new, places[:, 1:], windows.first_start)
    firsts = torch.cat([windows.first_start, firsts], 1).cummax(1).values
    nexts = torch.where(new, places[:, 1:], windows.last_end)
    nexts = torch.cat([nexts, windows.last_end], 1)
    nexts = nexts.flip(1).cummin(1).values.flip(1)
    return {'first': firsts - windows.start, 'size': nexts - firsts}


def seconds(times_us):
    return times_us.div(buckets.MICROSECONDS, rounding_mode='floor')


def gap_buckets(earlier_us, later_us):
    """buckets.gap_bucket of the whole seconds between times, as tensors."""
    return _log_buckets(seconds(later_us - earlier_us).clamp_min(0))


def count_buckets(ordinals):
    """buckets.count_bucket as tensors."""
    return _log_buckets(ordinals)


def _log_buckets(values):
    powers = torch.from_numpy(buckets.POWERS).to(values.device)
    return 1 + torch.bucketize(1 + values, powers, right=True)
