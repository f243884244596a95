"""Prints what bench/served_quality.py found."""

# Published on the same protocol: hit@10, ndcg@10, hit@50 of the tables in
# github.com/meta-recsys/generative-recommenders.
ANCHORS = {'ml-1m': {'SASRec, published': (.2853, .1603, .5474),
                     'HSTU, published': (.3097, .1720, .5754),
                     'HSTU-large, published': (.3294, .1893, .5935)}}
# With one item to find, recall is the hit rate and precision a tenth of it.
ONE_ITEM = ('hit@10', 'ndcg@10', 'hit@50')


def print_run(served):
    """What the import and the requests took; served: a served_quality.Served.
    """
    imported, evaluated = served.imported, served.evaluated
    print(f'{imported["applied"]:,} events imported in '
          f'{imported["seconds"]:.1f} s, {imported["events_per_second"]:,.0f} '
          f'events/s; all folded after {served.folded_s:.1f} s')
    if served.late_events:
        print(f'{served.late_events:,} events came after later ones of their '
              'user: put the file in order of time, as the trainer does')
    if evaluated:
        print(f'{evaluated["users"]:,} users ranked, '
              f'{evaluated["candidates"]:,} candidates each, {_took(evaluated)}')
        if evaluated['users_without_history']:
            print(f'{evaluated["users_without_history"]:,} more have no '
                  'history and are left out')
    if served.labels:
        report = served.labels.report
        print(f'{report["events"]:,} events with labels of '
              f'{report["users"]:,} users scored, {_took(report)}')


def _took(report):
    latency = report['latency_ms']
    return (f'in {report["seconds"]:.1f} s: p50 {latency["p50"]:.1f} ms, p99 '
            f'{latency["p99"]:.1f} ms')


def print_labels(offline, served, lower=None):
    """A table of the tasks with labels, on both paths.

    offline, served: served_labels.Labels; lower: (precision, the same served
    in it), if any.
    """
    from bench import served_labels
    from trainer import metric_tables
    rows = {f'{task}{of}': row
            for task in served.tasks for of, labels in (
                (', offline by the trainer', offline),
                (', served through RankService', served),
                *([(f', scored in {lower[0]}', lower[1])] if lower else []))
            for row in [labels.tasks.get(task)] if row and row['labels']}
    print('\n'.join(['', *metric_tables.table(rows, served_labels.MEASURES),
                     '']))


def print_figures(config, metrics, offline, served, lower=None):
    """A table of published figures, baselines, and the model on both paths.

    metrics: the trainer's, of all rankings; offline and served: {measure:
    value} of the model; lower: (precision, the same served in it), if any.
    """
    from trainer import baselines, metric_tables
    published = {name: dict(zip(ONE_ITEM, figures)) for name, figures in
                 ANCHORS.get(config.name, {}).items()}
    rows = {name: metrics[name] for name in baselines.NAMES if name in metrics}
    rows['offline, by the trainer'] = offline
    rows['served, through RankService'] = served
    if lower:
        rows[f'served, scored in {lower[0]}'] = lower[1]
    measures = (ONE_ITEM if config.data.split == 'last' else
                metric_tables.figures(offline))
    print('\n'.join(['', *metric_tables.table(published | rows, measures),
                     *metric_tables.kind_lines(rows), '']))
