"""How many processors PyTorch works on."""

import os

import torch


def use_all(device):
    """A thread for each processor, unless OMP_NUM_THREADS says otherwise.

    PyTorch takes one for each core, of which two processors may be threads.
    """
    if torch.device(device).type == 'cpu' and not os.environ.get(
            'OMP_NUM_THREADS'):
        torch.set_num_threads(len(os.sched_getaffinity(0)))
