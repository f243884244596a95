"""The dot term's loss: softmax over the catalogue, or over a sample of it.

Over the whole catalogue, a normaliser costs a product with every item. Where
there are more than training.full_softmax_items, a step's positions share
training.dot_negatives items instead, each of which stands for 1 / (its expected
count) items, and a position's own target is left out of them: it is in the sum
once, as itself. So the sum inside the logarithm has the full one's expectation.

Label smoothing spreads a share of each target evenly over the catalogue, which
takes the mean logit of all items. In a sample it is that of the uniform
negatives, whose expectation it is.
"""

import torch
from torch.utils import checkpoint

from trainer import reference
from trainer import waiting

# Positions whose logits over the whole catalogue are held at a time.
_CHUNK = 4_096
# Up to this many, all logits are held until the backward pass.
_KEPT_LOGITS = 1 << 27


def wide(values):
    """The values in float32, or in float64 where they are: sums of logits."""
    return values if values.dtype == torch.float64 else values.float()


def is_sampled(training, num_items):
    """Whether a catalogue of so many items is too large for full softmax."""
    return num_items > training.full_softmax_items


def next_item_loss(params, training, batch, users, targets, negatives=None):
    """Mean loss of all that a batch's events predict, where moments matter.

    users [B, n, d]: u after each event. targets [B, n]: whether an event is
    something to predict. negatives: sampler.Shared; None: full softmax. An
    event is predicted from the last event of the moment before (with weight
    next_moment_weight / events of the moment: the whole next basket is the
    target), and from its neighbour in the same moment (with
    same_moment_weight), since order within a moment says nothing.
    """
    n = batch.rows.shape[1]
    columns = torch.arange(n, device=users.device).expand_as(batch.rows)
    targets = targets & batch.valid & (batch.rows > 0)
    moment = targets & (batch.first >= 1)
    inside = targets & (columns > batch.first) & (columns >= 1)
    share = training.same_moment_share * (training.same_moment_weight > 0)
    inside &= torch.rand(inside.shape, device=users.device) < share
    window = torch.arange(len(batch.rows), device=users.device)[:, None]
    window = window.expand_as(columns)
    windows = torch.cat([window[moment], window[inside]])
    positions = torch.cat([batch.first[moment] - 1, columns[inside] - 1])
    rows = torch.cat([batch.rows[moment], batch.rows[inside]])
    waited = waiting.weights(batch, training.waiting_power)
    next_weights = training.next_moment_weight / batch.size[moment] * (
        waited[window[moment], batch.first[moment] - 1])
    same_weight = training.same_moment_weight / max(share, 1e-9)
    weights = torch.cat([next_weights, next_weights.new_full(
        rows[len(next_weights):].shape, same_weight)])
    users, asked = users.flatten(0, 1), windows * n + positions
    if negatives is None:
        # Positions that are asked once are normalised once.
        flat, inverse = torch.unique(asked, return_inverse=True)
        losses = _log_normalisers(params, users[flat])[inverse] - _smoothed(
            params, training, wide(users[asked]), rows[:, None])[:, 0]
    else:
        losses = _sampled(params, training, users[asked], rows, negatives)
    return (weights * losses).sum() / weights.sum().clamp_min(1e-6)


def next_event_loss(params, training, batch, users, targets, negatives=None):
    """As next_item_loss, where each event is a moment of its own.

    No shape depends on the data. An event is predicted from the one before it
    and, with training.later_weights, from earlier ones.
    """
    targets = targets & batch.valid & (batch.rows > 0)
    if negatives is None:
        normalisers = _log_normalisers(
            params, users[:, :-1].flatten(0, 1)).view(len(users), -1)
    waited = waiting.weights(batch, training.waiting_power)
    total = weight = 0.
    for steps, share in enumerate((1., *training.later_weights)):
        rows = batch.rows[:, 1 + steps:]
        count = rows.shape[1]
        asked = users[:, :count]
        if negatives is None:
            losses = normalisers[:, :count] - _smoothed(
                params, training, wide(asked), rows[..., None])[..., 0]
        else:
            losses = _sampled(params, training, asked.flatten(0, 1),
                              rows.flatten(), negatives).view(rows.shape)
        wanted = share * targets[:, 1 + steps:] * waited[:, :count]
        total = total + (wanted * losses).sum()
        weight = weight + wanted.sum()
    return total / weight.clamp_min(1e-6)


def _smoothed(params, training, users, rows):
    """The logits of targets [..., C]; with label smoothing a share of each
    target is spread over the whole catalogue."""
    logits = reference.dot_scores(params, users, rows)
    share = training.label_smoothing
    if share == 0:
        return logits
    items = reference.unit(params['item_embedding']).mean(0)
    mean = params['log_scale'].exp() * (users @ items)
    mean = mean + params['item_bias'].mean()
    return (1 - share) * logits + share * mean.unsqueeze(-1)


def _log_normalisers(params, users):
    """log of the softmax's sum over the catalogue, for users [M, d]."""
    items = reference.unit(params['item_embedding'])
    scale, bias = params['log_scale'].exp(), params['item_bias']

    def normaliser(chunk):
        logits = torch.addmm(bias, scale * chunk, items.T)
        return torch.logsumexp(wide(logits), dim=-1)
    if len(users) * len(bias) <= _KEPT_LOGITS:
        return normaliser(users)
    # The logits are computed again in the backward pass, not kept.
    return torch.cat([
        checkpoint.checkpoint(normaliser, chunk, use_reentrant=False)
        for chunk in users.split(_CHUNK)])


def _sampled(params, training, users, rows, negatives):
    """Losses [M] of rows [M] after users [M, d] over shared negatives."""
    own = reference.dot_scores(params, wide(users), rows[:, None])[:, 0]
    items = reference.unit(reference.look_up(params['item_embedding'],
                                             negatives.rows))
    bias = reference.look_up(params['item_bias'], negatives.rows)
    users = params['log_scale'].exp() * users
    correction = bias + negatives.log_weights
    place, is_drawn = negatives.find(rows)

    def normaliser(users, own, place, is_drawn):
        # Changed in place: nothing of this size is made that need not be.
        logits = wide(users @ items.T).add_(correction)
        drawn = is_drawn.nonzero()[:, 0]
        logits[drawn, place[drawn]] = -torch.inf
        return torch.logaddexp(own, torch.logsumexp(logits, 1))
    values = users, own, place, is_drawn
    if len(users) * len(items) <= _KEPT_LOGITS:
        normalisers = normaliser(*values)
    else:
        normalisers = torch.cat([
            checkpoint.checkpoint(normaliser, *chunk, use_reentrant=False)
            for chunk in zip(*(value.split(_CHUNK) for value in values))])
    share = training.label_smoothing
    if share == 0:
        return normalisers - own
    evenly = negatives.uniform_share.to(items.dtype)
    mean = wide(users) @ (evenly @ items) + evenly @ bias
    return normalisers - (1 - share) * own - share * mean
