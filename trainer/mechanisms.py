"""Names of the attention mechanisms that trainer/attention.py computes.

Apart from it, so that what reads a config does not import PyTorch.
"""

QLA = 'QLA'
NONE = 'NONE'
SOFTMAX = 'SOFTMAX'
RECENT_SOFTMAX = 'RECENT_SOFTMAX'
SLIDING_WINDOW = 'SLIDING_WINDOW'
HSTU = 'HSTU'
LINEAR = 'LINEAR'
DECAYED_LINEAR = 'DECAYED_LINEAR'
LOG_LINEAR = 'LOG_LINEAR'
GATED = 'GATED'
GATED_DELTA = 'GATED_DELTA'
# QLA for events and seeds, whose summaries are all that candidates read.
SEEDS_ONLY = 'SEEDS_ONLY'
ALL = (QLA, NONE, SOFTMAX, RECENT_SOFTMAX, SLIDING_WINDOW, HSTU, LINEAR,
       DECAYED_LINEAR, LOG_LINEAR, GATED, GATED_DELTA, SEEDS_ONLY)
# Those whose layers are QLA's: virtual seeds may read them.
WITH_SEEDS = (QLA, SEEDS_ONLY)
