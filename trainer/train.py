"""The training loop."""

import json
import time

import numpy as np
import torch

from trainer import batches
from trainer import dot_loss
from trainer import labelled_loss
from trainer import models
from trainer import processors
from trainer import steps
from trainer.optimizer import Optimizer
from trainer.progress import Progress


def train(config, data, validate=None, device='cpu', validate_every=0,
          quiet=False, unfinished=None):
    """Trains on all events of a data set.

    validate: None, or a function of (hyper, params) that returns metrics,
    called every validate_every epochs and at the end. unfinished: None, or
    the Unfinished that an interrupted training goes on from. Returns (Model,
    history): history has one dict an epoch.
    """
    settings = config.training
    _check_histories(config, data)
    processors.use_all(device)
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    generator = torch.Generator(device).manual_seed(settings.seed)
    source = batches.Source(data, device)
    model = _start(config, data, source)
    fixed = steps.has_fixed_shapes(source, config, model.num_items)
    num_batches = batches.count_batches(data.offsets, settings, fixed)
    total = settings.epochs * num_batches
    optimizer = Optimizer(model, settings, total)
    step = steps.Step(model, optimizer, source, config, num_batches)
    run = _Run(model, optimizer, rng, generator)
    history = run.restore(unfinished and unfinished.load())
    with Progress(total, quiet) as progress:
        if history:
            progress.go_on(len(history), len(history) * num_batches,
                           unfinished.path)
        for number in range(len(history) + 1, settings.epochs + 1):
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
            if unfinished:
                unfinished.save(run.state(history))
    optimizer.keep_average()
    return model.eval(), history


def _check_histories(config, data):
    """Raises ValueError if there is nothing that came next to learn from."""
    if np.diff(data.offsets).max(initial=0) < 2:
        raise ValueError(
            f'none of {len(data.users):,} users has two events to train on, '
            'and a model learns from what came next: is data.user = '
            f'"{config.data.user}" the column that says whose events are?')


def _start(config, data, source):
    """A model that knows how popular items are, or how likely labels."""
    settings = config.training
    window = settings.reconstruction_weight and settings.reconstruction_window
    is_sparse = not config.model.has_content and dot_loss.is_sampled(
        settings, len(data.item_ids))
    model = models.Model(config.model, len(data.item_ids),
                         settings.item_init_std, settings.dropout,
                         window, data.item_table, is_sparse).to(source.device)
    for tensor, values in (('event_projection', data.event_features),
                           ('candidate_projection', data.candidate_features)):
        if values.shape[1]:
            model.normalise(tensor, values)
    if settings.average_start:
        model.start_as_average()
    if labelled_loss.applies(source):
        model.start_from_rates(labelled_loss.rates(data))
    counts = source.item_counts()
    counts[0] = 0  # Each unknown item is rare.
    if config.model.has_content:
        model.know_by_content(counts, config.data.min_item_count,
                              settings.content_only_share)
    if config.model.any_dot_term and not labelled_loss.applies(source):
        model.start_from_popularity(counts)
    return model


class _Run:
    """All that the epochs to come depend on, but for config and data."""

    def __init__(self, model, optimizer, rng, generator):
        self._model = model
        self._optimizer = optimizer
        self._rng = rng  # Of windows and batches.
        self._generator = generator  # Of the order within moments.

    def state(self, history):
        """For trainer/unfinished.py."""
        on_gpu = self._generator.device.type == 'cuda'
        return {'model': self._model.state_dict(),
                'optimizer': self._optimizer.state_dict(),
                'rng': json.dumps(self._rng.bit_generator.state),
                'generator': self._generator.get_state(),
                'torch': torch.get_rng_state(),
                'cuda': torch.cuda.get_rng_state() if on_gpu else None,
                'history': json.dumps(history)}

    def restore(self, state):
        """Returns the history of what state() gave; [] for None."""
        if state is None:
            return []
        self._model.load_state_dict(state['model'])
        self._optimizer.load_state_dict(state['optimizer'])
        self._rng.bit_generator.state = json.loads(state['rng'])
        self._generator.set_state(state['generator'])
        torch.set_rng_state(state['torch'])
        if state['cuda'] is not None:
            torch.cuda.set_rng_state(state['cuda'])
        return json.loads(state['history'])


def _detached(model):
    """The tensors of a bundle; whoever trains on calls train()."""
    model.eval()
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
