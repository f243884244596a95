"""The training loop."""

import os
import time

import numpy as np
import torch

from trainer import batches
from trainer import labelled_loss
from trainer import models
from trainer import steps
from trainer.optimizer import Optimizer
from trainer.progress import Progress


def train(config, data, validate=None, device='cpu', validate_every=0,
          quiet=False):
    """Trains on all events of a data set.

    validate: None, or a function of (hyper, params) that returns metrics,
    called every validate_every epochs and at the end. Returns (Model,
    history): history has one dict an epoch.
    """
    settings = config.training
    _use_all_processors(device)
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    generator = torch.Generator(device).manual_seed(settings.seed)
    source = batches.Source(data, device)
    model = _start(config, data, source)
    fixed = steps.has_fixed_shapes(source, config)
    num_batches = batches.count_batches(data.offsets, settings, fixed)
    total = settings.epochs * num_batches
    optimizer = Optimizer(model, settings, total)
    step = steps.Step(model, optimizer, source, config, num_batches)
    history = []
    with Progress(total, quiet) as progress:
        for number in range(1, settings.epochs + 1):
            source.shuffle_moments(generator)
            model.train()
            found = batches.epoch(source, settings, rng, fixed)
            record = _epoch(step, optimizer, progress.counted(found))
            record['epoch'] = number
            if validate and (number == settings.epochs or validate_every and
                             number % validate_every == 0):
                with optimizer.averaged():
                    record['validation'] = validate(config.model,
                                                    _detached(model))
            history.append(record)
            progress.show(record)
    optimizer.keep_average()
    return model, history


def _use_all_processors(device):
    """A thread for each processor, unless OMP_NUM_THREADS says otherwise.

    PyTorch takes one for each core, of which two processors may be threads.
    """
    if torch.device(device).type == 'cpu' and not os.environ.get(
            'OMP_NUM_THREADS'):
        torch.set_num_threads(len(os.sched_getaffinity(0)))


def _start(config, data, source):
    """A model that knows how popular items are, or how likely labels."""
    settings = config.training
    window = settings.reconstruction_weight and settings.reconstruction_window
    model = models.Model(config.model, len(data.item_ids),
                         settings.item_init_std, settings.dropout,
                         window).to(source.device)
    if settings.average_start:
        model.start_as_average()
    if labelled_loss.applies(source):
        model.start_from_rates(labelled_loss.rates(data))
    elif config.model.any_dot_term:
        counts = torch.bincount(source.columns['rows'],
                                minlength=len(data.item_ids) + 1)
        counts[0] = 0  # Each unknown item is rare.
        model.start_from_popularity(counts)
    return model


def _detached(model):
    return {name: value.detach() for name, value in model.params().items()}


def _epoch(step, optimizer, found):
    """One pass over Batches; returns its mean losses and its seconds."""
    begin = time.monotonic()
    total, steps = 0, 0
    for batch in found:
        optimizer.next_learning_rate()
        total += step(batch)
        steps += 1
    dot, target_aware, rebuilt = (total / max(steps, 1)).tolist()
    return {'dot_loss': round(dot, 4),
            'target_aware_loss': round(target_aware, 4),
            'reconstruction_loss': round(rebuilt, 4),
            'learning_rate': optimizer.learning_rate,
            'seconds': round(time.monotonic() - begin, 3)}
