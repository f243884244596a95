"""Ranks the whole catalogue at a cut in time, as a server would be asked to.

For every user with events before the cut and after it: the state is made of
the events before, the request's time is that of the first moment after, and
the items of that moment are what should come out on top. Items seen before
are not filtered: repeat purchases count.
"""

import dataclasses

import numpy as np
import torch

from trainer import batches
from trainer import buckets
from trainer import reference

TOP = 10
# Candidates that pass through the target-aware layers at a time.
_CANDIDATES = 1 << 18


@dataclasses.dataclass
class Cases:
    """One row a user: history [start, start + length) in the data set,
    gap bucket to the request, and the set of item rows to find."""
    starts: np.ndarray
    lengths: np.ndarray
    nexts: np.ndarray
    baskets: list


def cases(data, cut_us, end_us=None):
    """The users who can be asked about at the cut.

    Items outside the catalogue stay in the basket's size, but no ranking can
    hit them. With end_us, a user's first moment must be before it.
    """
    starts, lengths, nexts, baskets = [], [], [], []
    for begin, end in zip(data.offsets[:-1], data.offsets[1:]):
        times = data.times_us[begin:end]
        split = int(np.searchsorted(times, cut_us))
        if split == 0 or split == len(times):
            continue
        when = times[split]
        if end_us is not None and when >= end_us:
            continue
        stop = int(np.searchsorted(times, when, side='right'))
        starts.append(begin)
        lengths.append(split)
        nexts.append(int(buckets.gap_bucket(
            buckets.seconds_between(times[split - 1], when))))
        baskets.append(data.rows[begin + split:begin + stop])
    return Cases(np.array(starts), np.array(lengths), np.array(nexts), baskets)


def metrics(top, baskets):
    """Mean hit, precision, recall and NDCG at 10 of rankings [users, 10]."""
    totals = np.zeros(4)
    discount = 1 / np.log2(np.arange(2, TOP + 2))
    for rows, basket in zip(top, baskets):
        size = len(np.unique(basket))
        found = np.isin(rows, basket[basket > 0])
        ideal = discount[:min(size, TOP)].sum()
        totals += [found.any(), found.mean(), found.sum() / size,
                   (found * discount).sum() / ideal]
    names = (f'hit@{TOP}', f'precision@{TOP}', f'recall@{TOP}', f'ndcg@{TOP}')
    return dict(zip(names, (totals / max(1, len(baskets))).round(4).tolist()))


def popularity_baseline(data, cut_us, found):
    """Everyone gets the items most bought before the cut."""
    counts = np.bincount(data.rows[data.times_us < cut_us])
    counts[0] = 0
    top = np.argsort(-counts, kind='stable')[:TOP]
    return metrics([top] * len(found.baskets), found.baskets)


def own_history_baseline(data, cut_us, found):
    """Everyone gets their own most frequent items; popularity fills up."""
    counts = np.bincount(data.rows[data.times_us < cut_us],
                         minlength=len(data.item_ids) + 1).astype(float)
    popular = counts / (counts.max() + 1)
    top = []
    for start, length in zip(found.starts, found.lengths):
        own = popular.copy()
        np.add.at(own, data.rows[start:start + length], 1)
        own[0] = -1
        best = np.argpartition(-own, TOP)[:TOP]
        top.append(best[np.argsort(-own[best], kind='stable')])
    return metrics(top, found.baskets)


@torch.no_grad()
def rank_catalogue(hyper, params, source, found, task=0, batch_events=32_768,
                   progress=lambda x: x):
    """Top-10 rows of every case: {'all terms' | 'dot term': [users, 10]}.

    Context and candidate features are left at missing (row 0) and 0.
    """
    order = np.argsort(found.lengths)[::-1]
    names = ['dot term'] if hyper.any_dot_term else []
    if 'head.w1' in params:
        names.append('all terms')
    top = {name: np.zeros((len(order), TOP), np.int64) for name in names}
    at = 0
    groups = []
    while at < len(order):
        size = max(1, batch_events // int(found.lengths[order[at]]))
        groups.append(order[at:at + min(size, 64)])
        at += len(groups[-1])
    for group in progress(groups):
        for name, rows in _rank_group(hyper, params, source, found, group,
                                      task).items():
            top[name][group] = rows.cpu().numpy()
    return top


def _rank_group(hyper, params, source, found, group, task):
    """{name: rows [users, 10]} for a group of cases."""
    batch = source.cut(found.starts[group], found.lengths[group])
    last = torch.as_tensor(found.lengths[group] - 1, device=source.device)
    users = torch.arange(len(group), device=source.device)
    batch.nexts[users, last] = torch.as_tensor(found.nexts[group],
                                               device=source.device)
    tokens = batches.tokens(hyper, params, batch)
    x, traces = reference.masked_events(hyper, params, tokens)
    user = reference.user_vector(params, x[users, last])
    scores = torch.zeros(len(group), len(params['item_bias']),
                         device=source.device)
    if hyper.any_dot_term:
        items = reference.unit(params['item_embedding'])
        dot = params['log_scale'].exp() * user @ items.T + params['item_bias']
        if hyper.tasks[task].dot_term:
            scores = dot.float()
    result = {'dot term': scores} if hyper.any_dot_term else {}
    if 'head.w1' in params:
        result['all terms'] = scores + _head_scores(
            hyper, params, traces, last, user, batch.nexts[users, last], task)
    # Row 0 stands for items outside the catalogue: nothing to recommend.
    return {name: 1 + values[:, 1:].topk(TOP).indices
            for name, values in result.items()}


def _head_scores(hyper, params, traces, last, user, gaps, task):
    """The target-aware term [users, N + 1] over the whole catalogue."""
    count = len(user)
    rows = torch.arange(len(params['item_bias']), device=user.device)
    missing = torch.zeros(count, dtype=torch.long, device=user.device)
    context = {feature.name: missing for feature in hyper.context_features}
    parts = []
    for chunk in rows.split(max(1, _CANDIDATES // count)):
        features = user.new_zeros(count, len(chunk),
                                  len(hyper.candidate_features))
        x = reference.candidate_tokens(hyper, params, chunk.expand(count, -1),
                                       gaps, user, context, features)
        x = reference.masked_candidates(hyper, params, traces, last[:, None],
                                        x[:, None])
        parts.append(reference.head_scores(params, x)[:, 0, :, task].float())
    return torch.cat(parts, dim=1)


class Evaluation:
    """The cases and baselines of a cut, made once, and metrics of models."""

    def __init__(self, data, cut_us, end_us=None, device='cpu'):
        self._cases = cases(data, cut_us, end_us)
        if not self._cases.baskets:
            raise ValueError(f'no user has events on both sides of time '
                             f'{cut_us} us')
        self._source = batches.Source(data, device)
        self.baselines = {
            'users': len(self._cases.baskets),
            'popularity': popularity_baseline(data, cut_us, self._cases),
            'own history': own_history_baseline(data, cut_us, self._cases)}

    def __call__(self, hyper, params, progress=lambda x: x):
        """{'users': n, ranking: metrics}: baselines and the model's terms."""
        params = {name: value.detach().to(self._source.device)
                  for name, value in params.items()}
        top = rank_catalogue(hyper, params, self._source, self._cases,
                             progress=progress)
        result = dict(self.baselines)
        for name, rows in top.items():
            result[f'model, {name}'] = metrics(rows, self._cases.baskets)
        return result
