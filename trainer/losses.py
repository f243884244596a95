"""The target-aware term's loss: a sampled softmax on the whole logit."""

import torch
from torch.nn import functional

from trainer import dot_loss
from trainer import masked
from trainer import reference
from trainer import waiting


def sample_positions(batch, moments, wanted):
    """Columns [B, P] of events right before a new moment, and a mask.

    That is where a server ranks: after a basket, before the next. wanted
    [B, n]: events that teach something; a moment without one is not drawn.
    """
    window, column = torch.nonzero(
        wanted & batch.valid & (batch.first >= 1), as_tuple=True)
    ends = torch.zeros_like(batch.valid)
    ends[window, batch.first[window, column] - 1] = True
    noise = torch.rand(ends.shape, device=ends.device) + ends
    score, positions = noise.topk(min(moments, ends.shape[1]), dim=1)
    return positions, score >= 1


def target_aware_loss(model, params, source, sampler, batch, traces, users,
                      targets, drop):
    """Loss of the combined logits at sampled positions: all tasks.

    Next-item tasks: softmax over the next moment's items and negatives, each
    negative standing for 1 / (expected count) items. Labelled tasks: binary
    cross-entropy on the next moment's items.
    """
    hyper, training = model.hyper, sampler.training
    has_label = ~source.column('labels', batch.events).isnan()
    positions, chosen = sample_positions(
        batch, training.moments, targets & (batch.rows > 0) |
        has_label.any(-1))
    events, present = _next_moment(batch, positions, training.positives)
    present = present & chosen[..., None]
    gather = lambda values: torch.gather(
        values[:, None].expand(-1, positions.shape[1], -1), 2, events)
    positive_rows = gather(batch.rows)
    source_events = gather(batch.events)
    negative_rows, log_expected = sampler.draw(batch, positions)
    rows = torch.cat([positive_rows, negative_rows], dim=-1)
    logits = _combined_logits(hyper, params, source, batch, traces, users,
                              positions, rows, source_events, drop)
    is_target = present & gather(targets) & (positive_rows > 0)
    repeated = (negative_rows[..., None] == positive_rows[..., None, :]) & (
        is_target[..., None, :])
    adjust = torch.cat([
        torch.where(is_target & ~_seen_before(positive_rows, is_target), 0.,
                    -torch.inf),
        (-log_expected).masked_fill(repeated.any(-1), -torch.inf)], dim=-1)
    labels = source.column('labels', source_events)  # [B, P, K, T]
    waited = torch.gather(waiting.weights(batch, training.waiting_power), 1,
                          positions)
    losses = []
    for index, task in enumerate(hyper.tasks):
        task_logits = dot_loss.wide(logits[..., index])
        has_label = present & ~labels[..., index].isnan()
        if has_label.any():
            own = task_logits[..., :positive_rows.shape[-1]][has_label]
            losses.append(functional.binary_cross_entropy_with_logits(
                own, labels[..., index][has_label].to(own.dtype)))
        elif not task_has_labels(source, index):
            losses.append(_softmax_loss(task_logits, adjust, is_target,
                                        training.moment_size_power, waited))
    return sum(losses) if losses else users.new_zeros(())


def _seen_before(rows, used):
    """Which of rows [..., K] equal a used one further left: an item that is
    twice in a basket is once in the catalogue."""
    same = (rows[..., None] == rows[..., None, :]) & used[..., None, :]
    return same.tril(-1).any(-1)


def task_has_labels(source, index):
    """Whether the data set labels a task anywhere."""
    return source.labelled[index]


def _softmax_loss(logits, adjust, is_target, size_power, waited):
    """Mean over positions of the mean over their n targets of -log p, where a
    position weighs n^size_power and its waiting.weights."""
    normaliser = torch.logsumexp(logits + adjust, dim=-1)
    count = is_target.sum(-1)
    # Unwanted columns are masked before the sum: they may be infinite.
    positive = logits[..., :is_target.shape[-1]].masked_fill(~is_target, 0.)
    used = count > 0
    loss = normaliser[used] - positive.sum(-1)[used] / count[used]
    weights = waited[used] * count[used].to(loss.dtype) ** size_power
    return (weights * loss).sum() / weights.sum().clamp_min(1e-6)


def _next_moment(batch, positions, limit):
    """Columns [B, P, K] of up to K events of the moment after a position."""
    offsets = torch.arange(1, limit + 1, device=positions.device)
    columns = positions[..., None] + offsets
    inside = columns < batch.rows.shape[1]
    columns = columns.clamp_max(batch.rows.shape[1] - 1)
    at = lambda values: torch.gather(
        values[:, None].expand(-1, positions.shape[1], -1), 2, columns)
    same = at(batch.first) == positions[..., None] + 1
    return columns, inside & same & at(batch.valid)


def _combined_logits(hyper, params, source, batch, traces, users, positions,
                     rows, source_events, drop):
    """Logits [B, P, C, T] of candidate rows [B, P, C]."""
    window = torch.arange(len(positions), device=positions.device)[:, None]
    user = users[window, positions]
    context = source.column('context_rows', source_events[..., 0])
    context_rows = {feature.name: context[..., index] for index, feature in
                    enumerate(hyper.context_features)}
    features = source.features_at(rows, batch.next_seconds[window, positions])
    gaps = batch.nexts[window, positions]
    facts = source.facts(hyper, batch.places[window, positions] + 1, rows,
                         batch.seconds[window, positions], gaps)
    x = reference.candidate_tokens(hyper, params, rows, gaps, user,
                                   context_rows, features, facts)
    x = masked.candidates(hyper, params, traces, positions, drop(x), drop)
    logits = reference.head_scores(params, x, drop, facts)
    if hyper.any_dot_term:
        dot_tasks = logits.new_tensor([task.dot_term for task in hyper.tasks])
        dot = reference.dot_scores(params, user, rows)
        logits = logits + dot[..., None] * dot_tasks
    return logits
