"""Cross-entropy on what happened: every labelled event is a candidate.

Where each task has labels, negatives are real and nothing is sampled. A
labelled event is scored as a server would have scored it: a candidate with its
own features and context, at its own time, after the events before its moment.
What came of it, its action, event features and labels, is an event's and
reaches the state only once the event is folded.
"""

import dataclasses

import torch
from torch.nn import functional

from trainer import batches
from trainer import hyper as hyper_lib
from trainer import masked
from trainer import models
from trainer import peers
from trainer import reconstruction
from trainer import reference


@dataclasses.dataclass
class Asked:
    """P labelled events of each of B windows, all [B, P].

    columns: which of the window's events; events: their index in the Source;
    present: False at padding; positions: column of the newest event that is
    known, -1 if there is none.
    """
    columns: torch.Tensor
    events: torch.Tensor
    rows: torch.Tensor
    present: torch.Tensor
    positions: torch.Tensor


def asked(source, batch):
    """The labelled events of a Batch."""
    labels = source.column('labels', batch.events)
    chosen = batch.valid & ~labels.isnan().all(-1)
    # What came before a window is not nothing: only a user's first events are
    # scored without a history.
    whole = batch.gaps[:, :1] == 0
    chosen &= (batch.first >= 1) | whole
    count = max(1, int(chosen.sum(1).max()))
    columns = torch.argsort((~chosen).int(), dim=1, stable=True)[:, :count]

    def at_columns(values):
        return torch.gather(values, 1, columns)
    return Asked(columns, at_columns(batch.events), at_columns(batch.rows),
                 at_columns(chosen),
                 (at_columns(batch.first) - 1).clamp_min(-1))


def logits(hyper, params, source, batch, drop=lambda x: x, history=None):
    """Logits and labels [B, P, T] of a Batch's labelled events.

    Labels are NaN where there is none, and at padding. history: what
    read_history gave, if it is at hand.
    """
    found = asked(source, batch)
    labels = source.column('labels', found.events)
    labels = labels.masked_fill(~found.present.unsqueeze(-1), torch.nan)
    if hyper.peer:
        tokens = drop(batches.tokens(hyper, params, batch))
        user = tokens.new_zeros(found.rows.shape + (hyper.d_model,))
        x = _tokens(hyper, params, source, batch, found, user)
        x = peers.candidates(hyper, params, tokens, found.positions, drop(x),
                             drop)
        return reference.head_scores(params, x, drop), labels
    x, traces = history or read_history(hyper, params, batch, drop)
    user = _users_at(reference.user_vector(params, x), found.positions)
    total = user.new_zeros(labels.shape, dtype=torch.float32)
    if models.has_head(hyper):
        facts = _facts(hyper, source, batch, found)
        x = _tokens(hyper, params, source, batch, found, user, facts)
        x = masked.candidates(hyper, params, traces, found.positions,
                              drop(x).unsqueeze(2), drop).squeeze(2)
        total = total + reference.head_scores(
            params, x, drop, None if facts is None else facts.squeeze(2))
    if hyper.any_dot_term:
        dot_tasks = total.new_tensor([task.dot_term for task in hyper.tasks])
        dot = reference.dot_scores(params, user, found.rows.unsqueeze(-1))
        total = total + dot * dot_tasks
    return total, labels


def read_history(hyper, params, batch, drop):
    """x^L [B, n, d] and the Traces of a Batch's events."""
    tokens = drop(batches.tokens(hyper, params, batch))
    return masked.events(hyper, params, tokens, drop, batch.clock)


def _users_at(users, positions):
    """u [B, P, d] after events at positions [B, P]; 0 at position -1."""
    window = torch.arange(len(users), device=users.device)[:, None]
    return users[window, positions.clamp_min(0)] * (
        positions >= 0).unsqueeze(-1)


def _gaps(batch, found):
    """Buckets [B, P] of the gap before an event's moment, whose first event
    may not be it."""
    first = (found.positions + 1).clamp_max(batch.rows.shape[1] - 1)
    return torch.gather(batch.gaps, 1, first)


def _facts(hyper, source, batch, found):
    """Facts [B, P, 1, J] of Asked events; None without an item memory."""
    newest = found.positions.clamp_min(0)
    before = torch.gather(batch.places, 1, newest) + 1
    return source.facts(hyper, before * (found.positions >= 0),
                        found.rows.unsqueeze(-1),
                        torch.gather(batch.seconds, 1, newest),
                        _gaps(batch, found))


def _tokens(hyper, params, source, batch, found, user, facts=None):
    """Candidate tokens [B, P, d] of Asked events; user: [B, P, d]."""
    gaps = _gaps(batch, found)
    if hyper.peer == hyper_lib.STATELESS:
        gaps = torch.zeros_like(gaps)
    context = source.column('context_rows', found.events)
    context_rows = {feature.name: context[..., index] for index, feature in
                    enumerate(hyper.context_features)}
    features = None
    if hyper.candidate_features:
        features = source.features('candidate', found.events).unsqueeze(2)
    return reference.candidate_tokens(hyper, params, found.rows.unsqueeze(-1),
                                      gaps, user, context_rows, features,
                                      facts).squeeze(2)


class Loss:
    """Mean over tasks of the mean cross-entropy of their labels.

    Each label weighs the same, whichever batch it comes in: a batch's sum is
    divided by the labels of a mean batch.
    """

    def __init__(self, source, steps):
        """steps: batches of an epoch."""
        self._expected = source.label_counts().float() / steps

    def __call__(self, model, source, config, batch):
        """(0, loss, reconstruction loss), in place of steps.step_losses."""
        params, history, rebuilt = model.params(), None, None
        if config.training.reconstruction_weight:
            history = read_history(config.model, params, batch, model.dropout)
            rebuilt = reconstruction.loss(model, params, batch, history[1],
                                          model.dropout)
        scores, labels = logits(config.model, params, source, batch,
                                model.dropout, history)
        known = ~labels.isnan()
        losses = functional.binary_cross_entropy_with_logits(
            scores.float(), labels.nan_to_num(), reduction='none')
        sums = (losses * known).sum((0, 1))
        zero = sums.new_zeros(())
        return (zero, (sums / self._expected).mean(),
                zero if rebuilt is None else rebuilt)


def rates(data):
    """Mean label [T] of each task of a Dataset."""
    return torch.from_numpy(data.labels).nanmean(0)


def applies(source):
    """Whether every task of a batches.Source has labels."""
    return all(source.labelled)
