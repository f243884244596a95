"""The order of events by user, then stably by time, some users at a time."""

import numpy as np

# Events that are sorted at a time.
PART_EVENTS = 1 << 24


def order(users, times, counts, part_events=PART_EVENTS):
    """Yields indices of events: those of the first users, of the next ...

    users, times: arrays [E], of which the first holds whole numbers below U;
    counts [U]: events of each. A part has at most part_events events, or one
    user's, whose events are sorted in memory however many.
    """
    for first, end in _ranges(counts, part_events):
        if (first, end) == (0, len(counts)):
            at = slice(None)
        else:
            at = np.concatenate([
                begin + np.flatnonzero((users[begin:begin + part_events] >=
                                        first) &
                                       (users[begin:begin + part_events] < end))
                for begin in range(0, len(users), part_events)])
        by_time = np.lexsort((times[at], users[at]))
        yield by_time if isinstance(at, slice) else at[by_time]


def _ranges(counts, most):
    """[first, end) of users who have at most so many events together."""
    ends = np.cumsum(counts)
    first, before = 0, 0
    while first < len(counts):
        end = max(first + 1, int(np.searchsorted(ends, before + most,
                                                 side='right')))
        yield first, end
        first, before = end, ends[end - 1]
