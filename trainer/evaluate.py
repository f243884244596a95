"""Ranks the whole catalogue for every case of trainer/cases.py, as a server
would be asked to, and measures that.
"""

import numpy as np
import torch

from trainer import baselines
from trainer import batches
from trainer import candidate_features
from trainer import masked
from trainer import processors
from trainer import ranking_metrics
from trainer import reference
from trainer.ranking_metrics import TOP

# Candidates that pass through the target-aware layers at a time.
_CANDIDATES = 1 << 16
# Scores of the catalogue that are held at a time, and users.
_SCORES, _USERS = 1 << 25, 64


@torch.no_grad()
def rank_catalogue(hyper, params, source, found, features, window=None, task=0,
                   batch_events=32_768, progress=lambda x: x):
    """The rankings of all cases, as two dicts by 'all terms' and 'dot term':
    top rows [cases, TOP], and places [cases] of the first item to find among
    all that is ranked, 0 where none is.

    features: [N + 1, F] of item rows, as of what is known
    (candidate_features.of_items). window: the model sees so many of the newest
    events; None: all.
    """
    features = torch.as_tensor(features, device=source.device)
    order = np.argsort(found.lengths)[::-1]
    names = ['dot term'] if hyper.any_dot_term else []
    if 'head.w1' in params:
        names.append('all terms')
    num_rows = len(params['item_bias'])
    columns = min(TOP, num_rows - 1)
    most = max(1, min(_USERS, _SCORES // num_rows))
    items = reference.unit(params['item_embedding'])
    top = {name: np.zeros((len(order), columns), np.int64) for name in names}
    places = {name: np.zeros(len(order), np.int64) for name in names}
    at = 0
    groups = []
    while at < len(order):
        size = max(1, batch_events // int(found.lengths[order[at]]))
        groups.append(order[at:at + min(size, most)])
        at += len(groups[-1])
    for group in progress(groups):
        for name, scores in _score_group(hyper, params, items, source, found,
                                         group, features, window, task).items():
            top[name][group] = _top(scores, columns)
            places[name][group] = _places(
                scores, [found.baskets[index] for index in group])
    return top, places


def _score_group(hyper, params, items, source, found, group, features, window,
                 task):
    """{name: scores [users, N + 1]} for a group of cases; -inf for what is not
    ranked. items: the embeddings' directions."""
    history = source.cut(found.starts[group], found.lengths[group])
    lengths = np.minimum(found.lengths[group], window or np.inf).astype(int)
    batch = source.cut(found.starts[group] + found.lengths[group] - lengths,
                       lengths)
    last = torch.as_tensor(lengths - 1, device=source.device)
    users = torch.arange(len(group), device=source.device)
    batch.nexts[users, last] = torch.as_tensor(found.nexts[group],
                                               device=source.device)
    tokens = batches.tokens(hyper, params, batch)
    x, traces = masked.events(hyper, params, tokens, clock=batch.clock)
    user = reference.user_vector(params, x[users, last])
    scores = torch.zeros(len(group), len(params['item_bias']),
                         device=source.device)
    if hyper.any_dot_term:
        dot = params['log_scale'].exp() * user @ items.T + params['item_bias']
        if hyper.tasks[task].dot_term:
            scores = dot.float()
    result = {'dot term': scores} if hyper.any_dot_term else {}
    if 'head.w1' in params:
        def facts(rows):
            return source.facts(hyper, batch.places[users, last] + 1, rows,
                                batch.seconds[users, last],
                                batch.nexts[users, last])
        contexts = torch.as_tensor(found.contexts[group], dtype=torch.long,
                                   device=source.device)
        result['all terms'] = scores + _head_scores(
            hyper, params, traces, last, user, batch.nexts[users, last],
            contexts, task, features, facts)
    left_out = torch.zeros_like(scores, dtype=torch.bool)
    # Row 0 stands for items outside the catalogue: nothing to recommend.
    left_out[:, 0] = True
    if found.among is not None:
        left_out |= ~torch.as_tensor(found.among, device=source.device)
    if found.exclude_seen:
        left_out.scatter_(1, history.rows, True)
    return {name: values.masked_fill(left_out, -torch.inf)
            for name, values in result.items()}


def _top(scores, length):
    """The first rows [users, length] by scores [users, N + 1], best first; 0
    for those that are left out (-inf). Ties go to the lower row, as with a
    server."""
    top = np.zeros((len(scores), length), np.int64)
    least = scores.topk(length).values[:, -1]
    for found, of_user, bound in zip(top, scores, least):
        # Of ties, topk() takes any.
        rows = ((of_user >= bound) & (of_user > -torch.inf)).nonzero()[:, 0]
        best = of_user[rows].sort(descending=True, stable=True).indices[:length]
        found[:len(best)] = rows[best].cpu().numpy()
    return top


def _places(scores, baskets):
    """Where the first of each basket's rows stands [users] by scores
    [users, N + 1], from 1 on; 0 where none does. Ties as in _top()."""
    wanted = np.zeros((len(baskets), max(map(len, baskets))), np.int64)
    for rows, basket in zip(wanted, baskets):
        rows[:len(basket)] = basket  # Row 0 is never ranked.
    wanted = torch.from_numpy(wanted).to(scores.device)
    values = scores.gather(1, wanted)
    best = values.max(1, keepdim=True).values
    row = wanted.masked_fill(values != best, scores.shape[1]).min(
        1, keepdim=True).values
    ties = (scores == best) & (torch.arange(
        scores.shape[1], device=scores.device) < row)
    places = 1 + (scores > best).sum(1) + ties.sum(1)
    return places.masked_fill(~(best > -torch.inf)[:, 0], 0).cpu().numpy()


def _head_scores(hyper, params, traces, last, user, gaps, contexts, task,
                 features, facts):
    """The target-aware term [users, N + 1] over the whole catalogue.

    contexts [users, M]; features [N + 1, F]; facts: of rows [users, C], what
    the users' item memories say of them.
    """
    count = len(user)
    rows = torch.arange(len(params['item_bias']), device=user.device)
    context = {feature.name: contexts[:, column] for column, feature in
               enumerate(hyper.context_features)}
    parts = []
    for chunk in rows.split(max(1, _CANDIDATES // count)):
        of_chunk = chunk.expand(count, -1)
        known = facts(of_chunk)
        x = reference.candidate_tokens(hyper, params, of_chunk, gaps, user,
                                       context, features[of_chunk], known)
        x = masked.candidates(hyper, params, traces, last[:, None],
                              x[:, None])[:, 0]
        scores = reference.head_scores(params, x, facts=known)
        parts.append(scores[..., task].float())
    return torch.cat(parts, dim=1)


def check_history(hyper, window):
    """Raises ValueError if a model cannot be read as if only so many of the
    newest events were known; None: all."""
    if window is not None and hyper.item_memory:
        raise ValueError(
            f'history of {window} events: the model has an item memory, which '
            'is of all events; compare models without one')


def _in_any_order(found):
    """The rows that are ranked, in another order for each case: what the
    out-of-vocabulary row, which they would share, says of them."""
    rng, rows = np.random.default_rng(1), np.flatnonzero(found.among)
    top = np.zeros((len(found.users), TOP), np.int64)
    for row in top:
        drawn = rng.permutation(rows)[:TOP]
        row[:len(drawn)] = drawn
    return top


class Evaluation:
    """Cases and their baselines, made once, and metrics of models."""

    def __init__(self, data, found, device='cpu', windows=(None,),
                 half_life_days=baselines.HALF_LIFE_DAYS):
        """found: cases.Cases of the data set. windows: by how many
        of the newest events to rank; None: by all. half_life_days: of the
        decayed counts.

        Raises ValueError if nobody can be asked about.
        """
        if not found.baskets:
            raise ValueError('no user has events both before and after what '
                             'is held out')
        processors.use_all(device)
        self._cases = found
        self._windows = windows
        self._source = batches.Source(data, device)
        self._features = candidate_features.of_items(data, found.known)
        self.baselines = {
            'users': len(set(found.users)), 'moments': len(found.users)}
        if found.among is not None:
            self.baselines['in any order'] = ranking_metrics.metrics(
                _in_any_order(found), found)
            return
        simple = baselines.Baselines(data, found, half_life_days)
        self.baselines.update(
            (name, ranking_metrics.metrics(top, simple.cases))
            for name, top in simple.rankings(TOP).items())

    def __call__(self, hyper, params, progress=lambda x: x):
        """{'users': n, 'moments': n, ranking: metrics}: baselines and the
        model's terms.

        Keeps the places by all terms, or by the only one, from the first of
        the windows for ranks().
        """
        params = {name: value.detach().to(self._source.device)
                  for name, value in params.items()}
        result = dict(self.baselines)
        for window in self._windows:
            top, places = rank_catalogue(
                hyper, params, self._source, self._cases, self._features,
                window, progress=progress)
            if window == self._windows[0]:
                self._places = list(places.values())[-1]
            for name, rows in top.items():
                name += f', last {window} events' if window else ''
                result[f'model, {name}'] = ranking_metrics.metrics(
                    rows, self._cases)
        return result

    def ranks(self):
        """{user: place of the first item to find among all that is ranked, 0
        if it is not}, by the last call: of first moments."""
        return dict(zip(map(str, self._cases.users), self._places.tolist()))
