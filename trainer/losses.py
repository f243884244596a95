"""The two losses: full softmax on the dot term, sampled on the whole logit."""

import torch
from torch.nn import functional
from torch.utils import checkpoint

from trainer import masked
from trainer import reference

# Positions whose logits over the whole catalogue are held at a time.
_CHUNK = 4_096
# Up to this many, all logits are held until the backward pass.
_KEPT_LOGITS = 1 << 27


def next_item_loss(params, training, batch, users, targets):
    """All-position full softmax on the dot term.

    users [B, n, d]: u after each event. targets [B, n]: whether an event is
    something to predict. An event is predicted from the last event of the
    moment before (with weight next_moment_weight / events of the moment: the
    whole next basket is the target), and from its neighbour in the same moment
    (with same_moment_weight), since order within a moment says nothing.
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
    next_weights = training.next_moment_weight / batch.size[moment]
    same_weight = training.same_moment_weight / max(share, 1e-9)
    weights = torch.cat([next_weights, next_weights.new_full(
        rows[len(next_weights):].shape, same_weight)])
    # Positions that are asked once are normalised once.
    flat, inverse = torch.unique(windows * n + positions, return_inverse=True)
    asked = users.reshape(-1, users.shape[-1])[flat]
    normaliser = _log_normalisers(params, asked)
    positive = _smoothed(params, training, asked[inverse].float(),
                         rows[:, None])[:, 0]
    loss = weights * (normaliser[inverse] - positive)
    return loss.sum() / weights.sum().clamp_min(1e-6)


def next_event_loss(params, training, batch, users, targets):
    """All-position full softmax where each event is a moment of its own.

    As next_item_loss, without a shape that depends on the data: an event is
    predicted from the one before it and, with training.later_weights, from
    earlier ones.
    """
    targets = targets & batch.valid & (batch.rows > 0)
    normalisers = _log_normalisers(params, users[:, :-1].flatten(0, 1)).view(
        len(users), -1)
    total = weight = 0.
    for steps, share in enumerate((1., *training.later_weights)):
        rows = batch.rows[:, 1 + steps:]
        count = rows.shape[1]
        positive = _smoothed(params, training, users[:, :count].float(),
                             rows[..., None])[..., 0]
        wanted = share * targets[:, 1 + steps:]
        losses = normalisers[:, :count] - positive
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
        return torch.logsumexp(logits.float(), dim=-1)
    if len(users) * len(bias) <= _KEPT_LOGITS:
        return normaliser(users)
    # The logits are computed again in the backward pass, not kept.
    return torch.cat([
        checkpoint.checkpoint(normaliser, chunk, use_reentrant=False)
        for chunk in users.split(_CHUNK)])


class Sampler:
    """Draws negatives from a mixture and knows each one's probability.

    Shares of uniform, of popularity, and of the user's own history: uniform
    negatives alone hardly ever hold what a user buys again and again, which is
    what the top of the ranking has to tell apart.
    """

    def __init__(self, counts, training):
        """counts: how many events each row [N + 1] has."""
        counts = counts.float()
        counts[0] = 0
        self.popularity = counts / counts.sum()
        self.num_rows = len(counts)
        self.training = training

    def draw(self, batch, positions):
        """Rows [B, P, C] and their log expected counts; positions [B, P]."""
        shape = positions.shape
        training, device = self.training, positions.device
        total = training.negatives
        own = round(total * training.history_share)
        popular = round(total * training.popular_share)
        uniform = torch.randint(self.num_rows, shape + (total - own - popular,),
                                device=device)
        parts = [uniform]
        if popular:
            parts.append(torch.multinomial(
                self.popularity, positions.numel() * popular,
                replacement=True).view(shape + (popular,)))
        if own:
            share = torch.rand(shape + (own,), device=device)
            columns = (share * (positions[..., None] + 1)).long()
            parts.append(torch.gather(
                batch.rows[:, None].expand(-1, shape[1], -1), 2, columns))
        rows = torch.cat(parts, dim=-1)
        expected = uniform.shape[-1] / self.num_rows + (
            popular * self.popularity[rows])
        if own:
            expected = expected + own * _history_share(batch, positions, rows)
        return rows, expected.log()


def _history_share(batch, positions, rows):
    """Share of events 0 ... position that are of each row [B, P, C]."""
    columns = torch.arange(batch.rows.shape[1], device=rows.device)
    past = columns <= positions[..., None]  # [B, P, n]
    counts = [((rows[:, p, :, None] == batch.rows[:, None]) &
               past[:, p, None]).sum(-1) for p in range(positions.shape[1])]
    return torch.stack(counts, 1) / (positions[..., None] + 1)


def sample_positions(batch, moments):
    """Columns [B, P] of events right before a new moment, and a mask.

    That is where a server ranks: after a basket, before the next.
    """
    ends = torch.zeros_like(batch.valid)
    starts = (batch.first == torch.arange(
        batch.rows.shape[1], device=batch.rows.device)) & batch.valid
    ends[:, :-1] = starts[:, 1:]
    noise = torch.rand(ends.shape, device=ends.device) + ends
    score, positions = noise.topk(min(moments, ends.shape[1]), dim=1)
    return positions, score > 1


def target_aware_loss(model, params, source, sampler, batch, traces, users,
                      targets, drop):
    """Loss of the combined logits at sampled positions: all tasks.

    Next-item tasks: softmax over the next moment's items and negatives, each
    negative standing for 1 / (expected count) items. Labelled tasks: binary
    cross-entropy on the next moment's items.
    """
    hyper, training = model.hyper, sampler.training
    positions, chosen = sample_positions(batch, training.moments)
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
        torch.where(is_target, 0., -torch.inf),
        (-log_expected).masked_fill(repeated.any(-1), -torch.inf)], dim=-1)
    labels = source.column('labels', source_events)  # [B, P, K, T]
    losses = []
    for index, task in enumerate(hyper.tasks):
        task_logits = logits[..., index].float()
        has_label = present & ~labels[..., index].isnan()
        if has_label.any():
            own = task_logits[..., :positive_rows.shape[-1]][has_label]
            losses.append(functional.binary_cross_entropy_with_logits(
                own, labels[..., index][has_label]))
        elif not task_has_labels(source, index):
            losses.append(_softmax_loss(task_logits, adjust, is_target,
                                        training.moment_size_power))
    return sum(losses) if losses else users.new_zeros(())


def task_has_labels(source, index):
    """Whether the data set labels a task anywhere."""
    return source.labelled[index]


def _softmax_loss(logits, adjust, is_target, size_power):
    """Mean over positions of the mean over their n targets of -log p, where a
    position weighs n^size_power."""
    normaliser = torch.logsumexp(logits + adjust, dim=-1)
    count = is_target.sum(-1)
    # Unwanted columns are masked before the sum: they may be infinite.
    positive = logits[..., :is_target.shape[-1]].masked_fill(~is_target, 0.)
    used = count > 0
    loss = normaliser[used] - positive.sum(-1)[used] / count[used]
    weights = count[used].float() ** size_power
    return (weights * loss).sum() / weights.sum().clamp_min(1)


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
