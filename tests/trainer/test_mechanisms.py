"""Every mechanism of attention trains in every way that models are trained."""

import pytest
import torch

import tiny_batches
from trainer import attention
from trainer import hyper as hyper_lib
from trainer import initial
from trainer import models
from trainer import sampler as sampler_lib
from trainer import steps

# SEEDS_ONLY is about how candidates read.
WAYS = [(name, way) for name in attention.ALL for way in (
    hyper_lib.OFF, hyper_lib.ALL_LAYERS, hyper_lib.DEDICATED_BLOCK)
        if (name, way) != (attention.SEEDS_ONLY, hyper_lib.OFF)]


@pytest.mark.parametrize('name, target_aware', WAYS)
def test_a_step_moves_every_tensor(name, target_aware):
    off = target_aware == hyper_lib.OFF
    seeds = name == attention.SEEDS_ONLY
    config = tiny_batches.config(
        model={'attention': name, 'target_aware': target_aware,
               'initial_half_lives': [4., 90.], 'head_width': 0 if off else 8,
               'num_seeds': 8 * seeds, 'summary_attention': seeds},
        negatives=4, moments=3)
    events = tiny_batches.data([30, 9, 17])
    events.labels[:] = float('nan')
    source, batch = tiny_batches.whole(events)
    torch.manual_seed(3)
    model = models.Model(config.model, len(events.item_ids),
                         initial.Start(.3))
    with torch.no_grad():
        for value in model.values.values():  # No term is 0.
            value += .1 * torch.randn(value.shape)
    sampler = sampler_lib.Sampler(source.item_counts(), config.training)
    dot, target_aware_loss, _ = steps.step_losses(
        model, source, sampler, config, steps.targets_of(config, 'cpu'), batch)
    (dot + target_aware_loss).backward()
    assert torch.isfinite(dot) and torch.isfinite(target_aware_loss)
    for tensor, value in model.values.items():
        assert value.grad is not None and value.grad.any(), tensor
        assert torch.isfinite(value.grad).all(), tensor
