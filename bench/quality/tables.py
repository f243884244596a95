"""The tables of docs/quality.md and docs/kuairand.md, by the names that stand
in the pages' markers (bench/quality/pages.py)."""

from bench.quality.table import Column, Given, Row, Table

_TRAINED = 'python -m trainer sweep --runs trainer/configs/{}_runs.toml'
_READ_200 = 'model, dot term, last 200 events'

_ML_1M = (Column('HR@10', '{ranking}.hit@10'),
          Column('NDCG@10', '{ranking}.ndcg@10'),
          Column('HR@50', '{ranking}.hit@50'))

ML_1M = Table(
    'ml-1m', 'model', command=_TRAINED.format('ml-1m'), columns=_ML_1M,
    texts=('state of a user',),
    rows=(
        Given('SASRec, published', ('.2853', '.1603', '.5474', 'grows')),
        Given('HSTU, published', ('.3097', '.1720', '.5754', 'grows')),
        Given('HSTU-large, published', ('.3294', '.1893', '.5935', 'grows')),
        Row('**QLA**', 'qla', texts=('57 KB, whatever the history',)),
        Row('softmax attention', 'softmax', _READ_200,
            texts=('6 KB an event; 1.2 MB at 200 events',)),
        Row('HSTU\'s attention', 'hstu', _READ_200,
            texts=('6 KB an event',))))

ML_1M_WIDTH_64 = Table(
    'ml-1m-width-64', 'model', columns=_ML_1M,
    command=_TRAINED.format('ml-1m') + ' --set model.d_model=64 ...',
    texts=('state of a user',),
    rows=(
        Row('QLA', 'qla', texts=('38 KB, whatever the history',)),
        Row('QLA, request time masked', 'qla, request time masked',
            texts=('38 KB, whatever the history',)),
        Row('softmax attention', 'softmax', _READ_200,
            texts=('4 KB an event; 800 KB at 200 events',)),
        Row('HSTU\'s attention', 'hstu', _READ_200, texts=('4 KB an event',)),
        Row('sliding window of 64', 'sliding_window', _READ_200,
            texts=('279 KB',)),
        Row('log-linear attention', 'log_linear', _READ_200,
            texts=('up to 262 KB at 200 events',)),
        Row('linear attention', 'linear', texts=('34 KB',))))

GROCERY_TIME = Table(
    'grocery', 'next basket', command=_TRAINED.format('grocery'),
    columns=(Column('hit@10', '{ranking}.hit@10'),
             Column('recall@10', '{ranking}.recall@10', 3),
             Column('NDCG@10', '{ranking}.ndcg@10', 3)),
    rows=tuple(
        Row(f'{words}, {time}', run, f'model, {words.split(",")[0]}')
        for words, names in (
            ('dot term', ('request time', 'no request time')),
            ('all terms', ('request time', 'no request time')),
            ('all terms, item memory', ('item memory',
                                        'item memory, no request time')))
        for time, run in zip(('with request time', 'without'), names)))

_TASKS = {'click': 'is_click', 'long view': 'long_view', 'like': 'is_like'}


def _labels(*names):
    """Columns such as 'click AUC', with 3 decimals where a 3 follows."""
    found = []
    for name in names:
        title, _, decimals = name.partition(':')
        task, _, measure = title.rpartition(' ')
        found.append(Column(title, f'{_TASKS[task]}.{measure.lower()}',
                            int(decimals or 4)))
    return tuple(found)


_KUAIRAND = _TRAINED.format('kuairand')
_DIN = tuple(f'din, dropout .{tenths}' for tenths in (1, 2, 3, 4))

KUAIRAND = Table(
    'kuairand', 'run', command=_KUAIRAND,
    columns=_labels('click AUC', 'click NE', 'click calibration:3',
                    'long view AUC', 'long view NE', 'like AUC', 'like NE'),
    rows=(Row('popularity', 'popularity'),
          Row('popularity by tab', 'popularity by tab'),
          Row('no history', 'no history'),
          Row('DIN', one_of=_DIN),
          Row('softmax', 'softmax'), Row('HSTU', 'hstu'),
          Row('**QLA**', 'qla'),
          Row('**QLA, half-lives of 4 events and more**',
              'qla, half-lives from 4'),
          Row('**QLA, 64 seeds, reconstruction** ([quality.md](quality.md))',
              '64 seeds, reconstruction')))

KUAIRAND_DIN = Table(
    'kuairand', 'validation part', command=_KUAIRAND, part='validation',
    columns=_labels('click AUC', 'click NE', 'long view NE', 'like NE'),
    rows=tuple(Row(f'DIN, {name.removeprefix("din, ")}', name)
               for name in _DIN))

KUAIRAND_HALF_LIVES = Table(
    'kuairand', 'validation part', command=_KUAIRAND, part='validation',
    columns=_labels('click AUC', 'click NE', 'long view NE', 'like AUC',
                    'like NE'),
    rows=(Row('QLA, half-lives of 1, 4, 16 and 1,000 events', 'qla'),
          Row('4, 32, 256 and 2,000', 'qla, half-lives from 4'),
          Row('16, 64, 256 and 1,000', 'qla, half-lives from 16'),
          Row('4, 32, and two heads that keep all',
              'qla, half of the heads keep all'),
          Row('HSTU', 'hstu'), Row('softmax', 'softmax'),
          Row('linear', 'linear')))

KUAIRAND_START = Table(
    'kuairand', 'run', command=_KUAIRAND, part='validation',
    columns=_labels('click AUC', 'click NE', 'long view AUC', 'like AUC:3'),
    rows=tuple(Row(f'{title}, {start} start', run)
               for title, name in (('QLA', 'qla'), ('softmax', 'softmax'),
                                   ('HSTU', 'hstu'))
               for start, run in (('random', f'{name}, random start'),
                                  ('average', name))))

KUAIRAND_ATTENTION = Table(
    'kuairand', 'run', command=_KUAIRAND,
    columns=_labels('click AUC', 'click NE', 'long view AUC', 'like AUC:3'),
    rows=(Row('**QLA, all layers**', 'qla'),
          Row('QLA, all layers, phi2 SiLU', 'qla, phi2 SiLU'),
          Row('QLA, dedicated block', 'qla, dedicated block'),
          Row('QLA, dedicated block, phi2 SiLU',
              'qla, dedicated block, phi2 SiLU'),
          Row('QLA, off (three models)', 'qla, off, {task}'),
          Row('softmax', 'softmax'), Row('HSTU', 'hstu'),
          Row('sliding window', 'sliding_window'), Row('linear', 'linear'),
          Row('log-linear', 'log_linear')))

KUAIRAND_SEEDS = Table(
    'kuairand', 'seeds', command=_TRAINED.format('kuairand_seeds'),
    columns=_labels('click AUC', 'click NE', 'long view AUC', 'long view NE',
                    'like AUC:3', 'like NE:3'),
    rows=(Row('none', 'qla'),
          *(Row(f'{count}{more}', f'{count} seeds{more}')
            for more in ('', ', reconstruction') for count in (16, 64, 128))))

TABLES = {'ml-1m': ML_1M, 'ml-1m-width-64': ML_1M_WIDTH_64,
          'grocery-time': GROCERY_TIME, 'kuairand': KUAIRAND,
          'kuairand-din': KUAIRAND_DIN,
          'kuairand-half-lives': KUAIRAND_HALF_LIVES,
          'kuairand-start': KUAIRAND_START,
          'kuairand-attention': KUAIRAND_ATTENTION,
          'kuairand-seeds': KUAIRAND_SEEDS}
