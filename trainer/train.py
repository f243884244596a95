"""The training loop."""

import contextlib
import math
import time

import numpy as np
import torch
from torch.nn import functional

from trainer import batches
from trainer import losses
from trainer import models
from trainer import reconstruction
from trainer import reference

try:
    from tqdm import tqdm
except ImportError:  # Only the progress bar is lost.
    tqdm = None


def train(config, data, until_us=None, validate=None, device='cpu',
          validate_every=0, quiet=False):
    """Trains on the events before until_us (None: before the data's cut).

    validate: None, or a function of (hyper, params) that returns metrics,
    called every validate_every epochs and at the end. Returns (Model,
    history): history has one dict an epoch.
    """
    settings = config.training
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    if until_us is None and data.cut_us >= 0:
        until_us = data.cut_us
    if until_us is not None:
        data = data.before(until_us)
    generator = torch.Generator(device).manual_seed(settings.seed)
    source = batches.Source(data, device)
    model = models.Model(config.model, len(data.item_ids),
                         settings.item_init_std,
                         settings.reconstruction_window
                         if settings.reconstruction_weight else 0).to(device)
    if config.model.any_dot_term:
        counts = torch.bincount(source.columns['rows'],
                                minlength=len(data.item_ids) + 1)
        counts[0] = 0  # Each unknown item is rare.
        model.start_from_popularity(counts)
    steps = settings.epochs * batches.count_batches(data.offsets, settings)
    optimizer, schedule = _optimizer(model, settings, steps)
    sampler = losses.Sampler(source.columns['rows'], len(data.item_ids) + 1,
                             settings)
    history = []
    epochs = range(settings.epochs)
    bar = None
    if tqdm is not None and not quiet:
        bar = epochs = tqdm(epochs, desc='epochs', unit='epoch')
    for number in epochs:
        source.shuffle_moments(generator)
        record = _epoch(model, source, sampler, config, optimizer, schedule,
                        rng)
        record['epoch'] = number + 1
        last = number + 1 == settings.epochs
        if validate and (last or validate_every and
                         (number + 1) % validate_every == 0):
            record['validation'] = validate(
                config.model, _detached(model))
        history.append(record)
        _show(record, bar)
    return model, history


def _show(record, bar):
    """Losses in the progress bar; a line for every validation."""
    losses_text = (f'loss {record["dot_loss"]} dot, '
                   f'{record["target_aware_loss"]} all terms')
    if record['reconstruction_loss']:
        losses_text += f', {record["reconstruction_loss"]} reconstruction'
    hits = ', '.join(f'{name} {values["hit@10"]:.4f}' for name, values in
                     record.get('validation', {}).items() if name != 'users')
    line = f'epoch {record["epoch"]}: {losses_text}; hit@10: {hits}'
    if bar is not None:
        bar.set_postfix_str(losses_text)
        if hits:
            bar.write(line)
    elif hits:
        print(line, flush=True)


def _detached(model):
    return {name: value.detach() for name, value in model.params().items()}


def _optimizer(model, settings, steps):
    optimizer = torch.optim.AdamW(
        model.parameter_groups(settings.weight_decay),
        lr=settings.learning_rate, betas=(.9, .98))
    warmup = max(1, round(settings.warmup_share * steps))

    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        share = min(1., (step - warmup) / max(1, steps - warmup))
        return .01 + .99 * .5 * (1 + math.cos(math.pi * share))
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _epoch(model, source, sampler, config, optimizer, schedule, rng):
    """One pass over the users; returns its mean losses and its seconds."""
    model.train()
    device, begin = source.device, time.monotonic()
    total, steps = torch.zeros(3, device=device), 0
    for batch in batches.epoch(source, config.training, rng):
        optimizer.zero_grad(set_to_none=True)
        with _autocast(device):
            dot, target_aware, rebuilt = step_losses(model, source, sampler,
                                                     config, batch)
            loss = dot + config.training.target_aware_weight * target_aware + (
                config.training.reconstruction_weight * rebuilt)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(),
                                       config.training.gradient_norm)
        optimizer.step()
        schedule.step()
        total += torch.stack([dot, target_aware, rebuilt]).detach()
        steps += 1
    dot, target_aware, rebuilt = (total / max(steps, 1)).tolist()
    return {'dot_loss': round(dot, 4),
            'target_aware_loss': round(target_aware, 4),
            'reconstruction_loss': round(rebuilt, 4),
            'learning_rate': schedule.get_last_lr()[0],
            'seconds': round(time.monotonic() - begin, 2)}


def _autocast(device):
    if str(device).startswith('cuda'):
        return torch.autocast('cuda', dtype=torch.bfloat16)
    return contextlib.nullcontext()


def step_losses(model, source, sampler, config, batch):
    """(dot loss, target-aware loss, reconstruction loss) of a batch; 0 for a
    term that is off."""
    settings, hyper = config.training, config.model
    params = model.params()

    def drop(x):
        return functional.dropout(x, settings.dropout, model.training)
    tokens = drop(batches.tokens(hyper, params, batch))
    x, traces = reference.masked_events(hyper, params, tokens, drop)
    users = reference.user_vector(params, x)
    targets = _targets(config, batch)
    zero = users.new_zeros((), dtype=torch.float32)
    dot = target_aware = rebuilt = zero
    if hyper.any_dot_term:
        dot = losses.next_item_loss(params, settings, batch, users, targets)
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
