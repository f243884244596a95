"""One training step: which losses, on which device, compiled and recorded."""

import collections
import contextlib
import functools

import torch

from trainer import batches
from trainer import dot_loss
from trainer import labelled_loss
from trainer import losses
from trainer import masked
from trainer import models
from trainer import reconstruction
from trainer import recording
from trainer import reference
from trainer import sampler as sampler_lib


class Step:
    """Called with a Batch: changes the model, returns its losses [3] (dot,
    target-aware, reconstruction; 0 for a term that is off)."""

    def __init__(self, model, optimizer, source, config, num_batches):
        """num_batches: of an epoch, to within a few."""
        self._model = model
        self._optimizer = optimizer
        self._settings = config.training
        self._on_gpu = str(source.device).startswith('cuda')
        self._is_recorded = self._on_gpu and has_fixed_shapes(
            source, config, model.num_items)
        self._losses = self._choose_losses(source, config, num_batches)
        self._run = self._step
        if self._is_recorded:
            self._run = recording.Recorded(self._step)

    def __call__(self, batch):
        return self._run(batch)

    def _choose_losses(self, source, config, num_batches):
        """A function of a Batch that returns the three losses."""
        if labelled_loss.applies(source):
            loss = labelled_loss.Loss(source, num_batches)
            return lambda batch: loss(self._model, source, config, batch)
        pieces = Pieces()
        if self._is_recorded:
            pieces = Pieces(*(torch.compile(piece, dynamic=False)
                              for piece in pieces))
        sampler = sampler_lib.Sampler(source.item_counts(), self._settings)
        return functools.partial(
            step_losses, self._model, source, sampler, config,
            targets_of(config, source.device), pieces=pieces)

    def _step(self, batch):
        self._optimizer.zero_grad()
        with self._autocast():
            dot, target_aware, rebuilt = self._losses(batch)
            loss = (dot + self._settings.target_aware_weight * target_aware +
                    self._settings.reconstruction_weight * rebuilt)
        loss.backward()
        self._optimizer.apply()
        return torch.stack([dot, target_aware, rebuilt]).detach()

    def _autocast(self):
        if self._on_gpu:
            return torch.autocast('cuda', dtype=torch.bfloat16,
                                  cache_enabled=False)
        return contextlib.nullcontext()


def has_fixed_shapes(source, config, num_items):
    """Whether no shape in a step depends on the data: it can be recorded."""
    return (source.ordered and not labelled_loss.applies(source) and
            not models.has_head(config.model) and
            not dot_loss.is_sampled(config.training, num_items))


# What a step spends its time in, and may be compiled: small enough that this
# takes seconds, and the same for every layer.
Pieces = collections.namedtuple(
    'Pieces', ['layer', 'next_event_loss'],
    defaults=[masked.layer_of_events, dot_loss.next_event_loss])


def step_losses(model, source, sampler, config, is_target, batch,
                pieces=Pieces()):
    """(dot loss, target-aware loss, reconstruction loss) of a batch; 0 for a
    term that is off. is_target: what targets_of gave."""
    settings, hyper = config.training, config.model
    params, drop = model.params(), model.dropout
    tokens = drop(batches.tokens(hyper, params, batch,
                                 settings.unseen_share * model.training))
    x, traces = masked.events(hyper, params, tokens, drop, batch.clock,
                              pieces.layer)
    users = reference.user_vector(params, x)
    targets = batch.valid & is_target[batch.actions]
    zero = users.new_zeros((), dtype=torch.float32)
    dot = target_aware = rebuilt = zero
    if hyper.any_dot_term:
        next_loss = dot_loss.next_item_loss
        if source.ordered:
            next_loss = pieces.next_event_loss
        negatives = None
        if dot_loss.is_sampled(settings, model.num_items):
            negatives = sampler.shared()
        dot = next_loss(model.dot_params(params), settings, batch, users,
                        targets, negatives)
    if models.has_head(hyper) and settings.target_aware_weight > 0:
        target_aware = losses.target_aware_loss(
            model, params, source, sampler, batch, traces, users, targets,
            drop)
    if settings.reconstruction_weight:
        rebuilt = reconstruction.loss(model, params, batch, traces, drop)
    return dot.float(), target_aware.float(), rebuilt.float()


def targets_of(config, device):
    """Which actions [A] are something to predict, on the device.

    A step that is recorded on a GPU cannot bring a tensor there.
    """
    wanted = config.training.target_actions
    # A model without names has one action, of index 0.
    return torch.tensor([not wanted or name in wanted for name in
                         config.model.actions or ('',)], device=device)
