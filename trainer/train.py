"""The training loop."""

import collections
import contextlib
import functools
import time

import numpy as np
import torch

from trainer import batches
from trainer import labelled_loss
from trainer import losses
from trainer import models
from trainer import reconstruction
from trainer import recording
from trainer import reference
from trainer import report
from trainer.optimizer import Optimizer

try:
    from tqdm import tqdm
except ImportError:  # Only the progress bar is lost.
    tqdm = None


def train(config, data, validate=None, device='cpu', validate_every=0,
          quiet=False):
    """Trains on all events of a data set.

    validate: None, or a function of (hyper, params) that returns metrics,
    called every validate_every epochs and at the end. Returns (Model,
    history): history has one dict an epoch.
    """
    settings = config.training
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    generator = torch.Generator(device).manual_seed(settings.seed)
    source = batches.Source(data, device)
    model = models.Model(config.model, len(data.item_ids),
                         settings.item_init_std, settings.dropout,
                         settings.reconstruction_window
                         if settings.reconstruction_weight else 0).to(device)
    labelled = labelled_loss.applies(source)
    if labelled:
        model.start_from_rates(labelled_loss.rates(data))
    elif config.model.any_dot_term:
        counts = torch.bincount(source.columns['rows'],
                                minlength=len(data.item_ids) + 1)
        counts[0] = 0  # Each unknown item is rare.
        model.start_from_popularity(counts)
    sampler = losses.Sampler(source.columns['rows'], len(data.item_ids) + 1,
                             settings)
    # A step whose shapes do not depend on the data can be recorded.
    fixed = (data.ordered and not labelled and
             not models.has_head(config.model))
    steps = batches.count_batches(data.offsets, settings, fixed)
    optimizer = Optimizer(model, settings, settings.epochs * steps)

    recorded = fixed and str(device).startswith('cuda')
    pieces = Pieces()
    if recorded:
        pieces = Pieces(*(torch.compile(piece, dynamic=False)
                          for piece in Pieces()))
    forward = functools.partial(step_losses, pieces=pieces)
    if labelled:
        forward = labelled_loss.Loss(source, steps)

    def step(batch):
        optimizer.zero_grad()
        with _autocast(device):
            dot, target_aware, rebuilt = forward(model, source, sampler,
                                                 config, batch)
            loss = (dot + settings.target_aware_weight * target_aware +
                    settings.reconstruction_weight * rebuilt)
        loss.backward()
        optimizer.apply()
        return torch.stack([dot, target_aware, rebuilt]).detach()
    if recorded:
        step = recording.Recorded(step)
    history = []
    bar = None
    if tqdm is not None and not quiet:
        bar = tqdm(total=settings.epochs * steps, desc='training', unit='step')
    for number in range(settings.epochs):
        source.shuffle_moments(generator)
        model.train()
        found = batches.epoch(source, settings, rng, fixed)
        record = _epoch(step, optimizer, _counted(found, bar))
        record['epoch'] = number + 1
        last = number + 1 == settings.epochs
        if validate and (last or validate_every and
                         (number + 1) % validate_every == 0):
            with optimizer.averaged():
                record['validation'] = validate(
                    config.model, _detached(model))
        history.append(record)
        _show(record, bar)
    optimizer.keep_average()
    if bar is not None:
        bar.close()
    return model, history


def _counted(found, bar):
    """The same batches, with each step that is done told to the bar."""
    for batch in found:
        yield batch
        if bar is not None and bar.n < bar.total:  # Known to within a few.
            bar.update()


def _show(record, bar):
    """Losses in the progress bar; a line for every validation."""
    losses_text = (f'loss {record["dot_loss"]} dot, '
                   f'{record["target_aware_loss"]} all terms')
    if record['reconstruction_loss']:
        losses_text += f', {record["reconstruction_loss"]} reconstruction'
    found = record.get('validation', {})
    name = report.headline(found)
    figures = ', '.join(f'{row} {values[name]:.4f}' for row, values in
                        found.items() if row != 'users')
    line = f'epoch {record["epoch"]}: {losses_text}; {name}: {figures}'
    if bar is not None:
        bar.set_postfix_str(f'epoch {record["epoch"]}: {losses_text}')
        if figures:
            bar.write(line)
    elif figures:
        print(line, flush=True)


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


def _autocast(device):
    if str(device).startswith('cuda'):
        return torch.autocast('cuda', dtype=torch.bfloat16,
                              cache_enabled=False)
    return contextlib.nullcontext()


# What a step spends its time in, and may be compiled: small enough that this
# takes seconds, and the same for every layer.
Pieces = collections.namedtuple(
    'Pieces', ['layer', 'next_event_loss'],
    defaults=[reference.masked_layer, losses.next_event_loss])


def step_losses(model, source, sampler, config, batch, pieces=Pieces()):
    """(dot loss, target-aware loss, reconstruction loss) of a batch; 0 for a
    term that is off."""
    settings, hyper = config.training, config.model
    params, drop = model.params(), model.dropout
    tokens = drop(batches.tokens(hyper, params, batch,
                                 settings.unseen_share * model.training))
    x, traces = reference.masked_events(hyper, params, tokens, drop,
                                        batch.clock, pieces.layer)
    users = reference.user_vector(params, x)
    targets = _targets(config, batch)
    zero = users.new_zeros((), dtype=torch.float32)
    dot = target_aware = rebuilt = zero
    if hyper.any_dot_term:
        next_loss = losses.next_item_loss
        if source.ordered:
            next_loss = pieces.next_event_loss
        dot = next_loss(params, settings, batch, users, targets)
    if models.has_head(hyper) and settings.target_aware_weight > 0:
        target_aware = losses.target_aware_loss(
            model, params, source, sampler, batch, traces, users, targets,
            drop)
    if settings.reconstruction_weight:
        rebuilt = reconstruction.loss(model, params, batch, traces, drop)
    return dot.float(), target_aware.float(), rebuilt.float()


def _targets(config, batch):
    """[B, n]: the events that are something to predict."""
    wanted = config.training.target_actions
    if not wanted:
        return batch.valid
    codes = [config.model.actions.index(name) for name in wanted]
    return batch.valid & torch.isin(
        batch.actions, torch.tensor(codes, device=batch.actions.device))
