"""The table of docs/training.md on samples that a stranger's files are like.

Runs of the data set `samples` are draws of bench/samples.py, called as it calls
their folders: 'groceries 4'. A row is a mean over all users of all draws of a
kind, and of each over its seeds; its error is that of as many users.
"""

import math
import statistics

from bench.quality import figures
from bench.quality import store
from bench.quality import table

DATA_SET = 'samples'
SAMPLES = {'groceries': 'groceries', 'kinds': 'kinds of groceries',
           'films': 'films, MovieLens-1M', 'clips': 'videos, KuaiRand-Pure'}
SIMPLE = ('popularity', 'recent popularity', 'own counts', 'own decayed counts')
MODEL = ('model, all terms', 'model, dot term')
_KINDS = (None, 'repeat', 'first time')
_MEASURES = ('hit@10', 'ndcg@10')
_COMMAND = ('python -m bench.samples` draws them, `python -m trainer train '
            '--refit --test')


def by_sample(results=store.RESULTS):
    """The model beside the best simple ranking, by NDCG@10 of all targets."""
    runs = store.read(DATA_SET, results)
    lines, shown = [], []
    for sample, title in SAMPLES.items():
        draws = [run for name, run in runs.items()
                 if name.rpartition(' ')[0] == sample]
        if not draws:
            continue
        shown += draws
        parts = [[one.test for one in run.results.values()] for run in draws]
        best = max(SIMPLE, key=lambda name: _mean(parts, (name,), None,
                                                  'ndcg@10')[0])
        users = sum(seeds[0]['users'] for seeds in parts)
        title = f'{title} ({len(draws)} samples, {users:,} users)'
        model = f'model ({_seeds(parts)})'
        for what, names in (((title, best), (best,)), (('', model), MODEL)):
            lines.append([*what, *(_cell(parts, names, kind)
                                   for kind in _KINDS)])
    if not lines:
        return f'<sub>No run is kept: `{_COMMAND}` trains on them.</sub>'
    head = ['sample', 'hit@10 / NDCG@10', 'overall', 'repeats', 'first time']
    return '\n'.join([table.written(head, lines), '', figures.origin(shown)])


def _cell(parts, names, kind):
    found = [_mean(parts, names, kind, measure) for measure in _MEASURES]
    if not found[0]:
        return figures.UNKNOWN
    return ' / '.join(f'{figures.number(mean, 3)} ± {figures.number(error, 3)}'
                      for mean, error in found)


def _seeds(parts):
    """How many seeds draws have, in words."""
    counts = sorted({len(seeds) for seeds in parts})
    text = ' to '.join(str(count) for count in (counts[0], counts[-1])[
        :len(counts)])
    return f'{text} seed{"s" if counts[-1] > 1 else ""}'


def _mean(parts, names, kind, measure):
    """(mean over users, its error) of the first of `names` that a part has;
    None where nobody has such a target. parts: of each draw, those of its
    seeds, who ask about the same users."""
    total = squares = users = 0
    for seeds in parts:
        found = [_found(part, names, kind) for part in seeds]
        count = seeds[0]['users'] if not kind else (
            found[0]['users'] if found[0] else 0)
        if not count:
            continue
        users += count
        total += count * statistics.fmean(one[measure] for one in found)
        squares += (count * statistics.fmean(
            one['standard errors'][measure] for one in found)) ** 2
    return (total / users, math.sqrt(squares) / users) if users else None


def _found(part, names, kind):
    of_all = next(part[name] for name in names if name in part)
    return of_all.get(kind) if kind else of_all


MAKERS = {'samples': by_sample}
