"""How much it counts what a user does after a short and after a long break.

A model is asked at a time of the asker's choosing, and that falls into a gap
between two of the user's moments as often as the gap is long: a visitor who
clicks twenty times in five minutes and comes back after a week is asked about
mostly during that week. Training on every event alike is about the five
minutes. So what came after a gap weighs its seconds^power: 1 would be what a
random time asks, and leave few events that count at all.
"""

import torch


def weights(batch, power):
    """[B, n]: of predicting what comes after each event of a Batch, as a
    multiple of the batch's mean; all 1 with power 0."""
    if not power:
        return torch.ones(batch.valid.shape, device=batch.valid.device)
    gap_s = (batch.next_seconds - batch.seconds).clamp_min(0)
    found = (1. + gap_s) ** power * batch.valid
    return found * batch.valid.sum() / found.sum().clamp_min(1e-6)
