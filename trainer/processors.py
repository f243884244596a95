"""How PyTorch takes what a machine has: processors and memory."""

import ctypes
import os

import torch

# Parameters of glibc's mallopt, and what they are set to.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEPT, _PADDING = 2**31 - 1, 256 << 20


def use_all(device):
    """A thread for each processor, unless OMP_NUM_THREADS says otherwise, and
    memory that stays with the process.

    PyTorch takes a thread for each core, of which two processors may be
    threads.
    """
    if torch.device(device).type != 'cpu':
        return
    if not os.environ.get('OMP_NUM_THREADS'):
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    _keep_memory()


def _keep_memory():
    """Lets the C library keep the memory that PyTorch gives back.

    PyTorch takes gigabytes and gives them back with every step of a training
    and every group of users that is ranked, and the system would zero them
    every time. Without glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _KEPT)
    mallopt(_TOP_PAD, _PADDING)
