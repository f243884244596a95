"""The quality tables of docs/attention.md: mechanisms side by side.

Runs have the trainer's names of mechanisms (trainer/mechanisms.py) in lower
case. The comparison in one configuration, trainer/configs/attention_runs.toml,
is kept as the data sets attention-NAME; NAME alone, or NAME-width-64, has the
runs of the data set's own recipe.
"""

import re

from bench.quality import figures
from bench.quality import store
from bench.quality import table

# Run: what it is called.
MECHANISMS = {
    'none': 'no attention', 'softmax': 'softmax',
    'recent_softmax': 'softmax, last 200 events',
    'hstu': 'HSTU', 'sliding_window': 'sliding window', 'linear': 'linear',
    'decayed_linear': 'linear with decay', 'gated': 'QLA, gated decay',
    'gated_delta': 'gated delta rule', 'log_linear': 'log-linear',
    'seeds_only': 'QLA, seeds alone', 'qla': 'QLA'}
# Which know distances no longer than they were trained on: they are shown as
# they read so many of the newest events.
_AS_TRAINED = ('softmax', 'hstu', 'sliding_window', 'log_linear')
_RANKED = (('HR@10', 'hit@10'), ('NDCG@10', 'ndcg@10'))
# {data set: (title, terms it is ranked by, or None for labels)}
DATA_SETS = {'ml-1m': ('ML-1M', 'model, dot term'),
             'kuairand': ('KuaiRand', None),
             'grocery': ('groceries', 'model, all terms'),
             'grocery-long': ('groceries, long', 'model, all terms')}
# Of the newest events, what histories are cut to.
_LENGTHS = (200, 1_000)
_READS = re.compile(r', last (\d+) events$')
_COMMAND = ('python -m trainer sweep --config trainer/configs/attention-NAME.'
            'toml --runs trainer/configs/attention_runs.toml')


def one_configuration(results=store.RESULTS):
    """Quality of every mechanism in the shared configuration, on all data sets
    that have it; '-' where a mechanism was not trained."""
    return _quality({name: f'attention-{name}' for name in DATA_SETS}, results,
                    MECHANISMS)


def own_recipes(results=store.RESULTS):
    """The same in each data set's own recipe: MovieLens-1M's of before, in
    which all of them were trained."""
    return _quality({'ml-1m': 'ml-1m-width-64', 'kuairand': 'kuairand'}, results)


def _quality(folders, results, shown=()):
    """shown: mechanisms that have a row although nothing is kept of them."""
    found = {name: _mechanisms(folder, results)
             for name, folder in folders.items()}
    found = {name: runs for name, runs in found.items() if runs}
    columns = [(name, f'{DATA_SETS[name][0]} {title}', measure)
               for name in found for title, measure in _measures(name)]
    if not columns:
        return _nothing()
    lines = [[title, *(figures.text(_as_trained(
        found[name].get(mechanism), mechanism, name, measure))
                       for name, _, measure in columns)]
             for mechanism, title in MECHANISMS.items()
             if mechanism in shown or any(
                 mechanism in runs for runs in found.values())]
    return '\n'.join([
        table.written(['attention', *(title for _, title, _ in columns)],
                      lines), '',
        figures.origin([run for runs in found.values()
                        for run in runs.values()])])


def _nothing():
    return f'<sub>No run is kept: `{_COMMAND}` trains them.</sub>'


def _mechanisms(data_set, results):
    """{mechanism: Run} of those that have figures of the test part."""
    return {name: run for name, run in store.read(data_set, results).items()
            if name in MECHANISMS and run.rows('test')}


def _measures(name):
    """[(title, measure)], a measure being a key or, of rankings, its end."""
    if DATA_SETS[name][1]:
        return _RANKED
    return (('click AUC', 'is_click.auc'), ('click NE', 'is_click.ne'),
            ('like AUC', 'is_like.auc'))


def _as_trained(run, mechanism, name, measure):
    """The Figure that is shown of a mechanism, or None."""
    terms = DATA_SETS[name][1]
    if run is None or terms is None:
        return run and run.figure('test', measure)
    reads = _reads(run, terms)
    window = _window(run) or max(filter(None, reads), default=None)
    row = terms
    if mechanism in _AS_TRAINED:
        row = reads.get(window, terms)
    return run.figure('test', f'{row}.{measure}')


def _window(run):
    """The most events that a training read at once; None of those whose config
    is not kept."""
    for result in run.results.values():
        if result.config:
            return result.config['training']['window']
    return None


def _reads(run, terms):
    """{events that are read, None for all: row of the metrics}."""
    found = {}
    for row in run.rows('test'):
        if row == terms:
            found[None] = row
        elif row.startswith(terms) and (match := _READS.search(row)):
            found[int(match[1])] = row
    return found


def by_history(results=store.RESULTS):
    """A table a data set: quality by how many of the newest events are read."""
    parts = []
    for name, (title, terms) in DATA_SETS.items():
        folder = f'attention-{name}'
        runs = terms and _mechanisms(folder, results)
        if terms and not runs:
            folder, runs = name, _mechanisms(name, results)
        reads = {} if not runs else {
            mechanism: _reads(run, terms) for mechanism, run in runs.items()}
        lengths = [events for events in _LENGTHS
                   if any(events in found for found in reads.values())]
        if not lengths:
            continue
        how = ('one configuration' if folder != name else
               'the data set\'s own recipe')
        parts.append('\n'.join([
            f'{title}, {how}:', '',
            _history_table(runs, reads, [*lengths, None]), '',
            figures.origin(runs.values())]))
    return '\n\n'.join(parts) or _nothing()


def _history_table(runs, reads, lengths):
    head = ['attention'] + [
        f'{title}, ' + (f'last {events:,}' if events else 'all')
        for title, _ in _RANKED for events in lengths]
    lines = [[title, *(figures.text(_read(
        runs[mechanism], reads[mechanism].get(events), measure))
                       for _, measure in _RANKED for events in lengths)]
             for mechanism, title in MECHANISMS.items() if mechanism in runs]
    return table.written(head, lines)


def _read(run, row, measure):
    return row and run.figure('test', f'{row}.{measure}')


MAKERS = {'attention': one_configuration, 'attention-recipes': own_recipes,
          'attention-history': by_history}
