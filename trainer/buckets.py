"""Buckets of time gaps and of event counts (docs/model.md, section 1).

All arithmetic is on integers, so that a bucket never depends on rounding.
"""

import numpy as np

MICROSECONDS = 1_000_000

# 2, 4, 8, ... 2^30: how many of them 1 + s reaches is min(30, floor(log2(.))).
POWERS = 2 ** np.arange(1, 31, dtype=np.int64)


def seconds_between(earlier_us, later_us):
    """Whole seconds from one microsecond time to another, rounded down."""
    return (later_us - earlier_us) // MICROSECONDS


def gap_bucket(seconds):
    """Bucket b(s), 1 ... 31, of gaps in whole seconds (int or int array)."""
    return _log_bucket(np.maximum(np.asarray(seconds, np.int64), 0))


def count_bucket(ordinal):
    """Bucket b'(j), 1 ... 31, of event ordinals; a user's first event has 1."""
    return _log_bucket(np.asarray(ordinal, np.int64))


def _log_bucket(values):
    return 1 + np.searchsorted(POWERS, 1 + values, side='right')
