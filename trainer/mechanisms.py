"""Names of the attention mechanisms that trainer/attention.py computes.

Apart from it, so that what reads a config does not import PyTorch.
"""

QLA = 'QLA'
SOFTMAX = 'SOFTMAX'
SLIDING_WINDOW = 'SLIDING_WINDOW'
HSTU = 'HSTU'
LINEAR = 'LINEAR'
LOG_LINEAR = 'LOG_LINEAR'
ALL = (QLA, SOFTMAX, SLIDING_WINDOW, HSTU, LINEAR, LOG_LINEAR)
