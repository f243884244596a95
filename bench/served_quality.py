"""Ranking quality through the served path, beside the trainer's own figures.

Starts the server over an empty store, imports every user's history, ranks the
whole catalogue for each through RankService, and holds what comes out to what
the trainer computes offline from the same bundle and the same data. Where tasks
have labels, the events that are held out are scored, too
(bench/served_labels.py). `./run eval` calls it; docs/quality.md says what it
proves.
"""

import argparse
import csv
import dataclasses
import hashlib
import itertools
import json
import pathlib
import sys
import tempfile
import time
import typing

from bench import local_server
from bench import quality_report
from bench import served_comparison
from bench import served_files
from bench import served_labels

# A lower precision may move hit@10 and ndcg@10, or AUC and NE, by so much of
# them.
RELATIVE_TOLERANCE = .005
PRECISIONS = ('f32', 'bf16', 'int8')
# Of the server: whole catalogues, and all that is held out of a user.
LIMITS = 'max_candidates: 1000000 max_recent_events: 1000000'


@dataclasses.dataclass
class Served:
    """What the server's evaluation gave: the report of the command line's
    import, seconds until all was folded, and events that came after later
    ones, which the trainer sorts. evaluated, ranks: the report of its evaluate,
    and {user: rank}; None where nothing predicts the next items. labels: a
    served_labels.Labels; None where nothing has labels."""
    imported: dict
    folded_s: float
    late_events: int
    evaluated: typing.Optional[dict] = None
    ranks: typing.Optional[dict] = None
    labels: typing.Optional[served_labels.Labels] = None


@dataclasses.dataclass
class Offline:
    """The same by the trainer: metrics, {ranking: {measure: value}}."""
    metrics: typing.Optional[dict] = None
    ranks: typing.Optional[dict] = None
    labels: typing.Optional[served_labels.Labels] = None


def read_ranks(path):
    """{user: place of the first item to find in the whole catalogue, 0 if it
    is not ranked}."""
    with open(path, newline='') as file:
        return {row['user']: int(row['rank']) for row in csv.DictReader(file)}


def csv_options(data):
    """The command line's options for files that a config's [data] describes."""
    options = ['--user-column', data.user, '--item-column', data.item,
               '--time-column', data.time, '--time-unit', data.time_unit]
    if data.item_keys == 'text':
        options += ['--item-keys', 'text']
    # The default one may be missing from the file.
    if data.action != type(data).action:
        options += ['--action-column', data.action]
    return options


def serve(bundle, config, folder, programs, progress=False, precision='f32'):
    """Imports the histories of a data folder and evaluates; a Served.

    bundle: its folder; config: the trainer's config of the data, whose model
    is the bundle's; precision: one of PRECISIONS, for scoring.
    """
    with tempfile.TemporaryDirectory() as made:
        files = served_files.make(config, folder, made)
        return _serve(bundle, config, files, programs, progress, precision)


def _serve(bundle, config, files, programs, progress, precision):
    options = csv_options(config.data)
    options += _event_features(config.model.event_features)
    how = [] if files.heldout else ['--leave-last-out']
    with tempfile.TemporaryDirectory() as work, local_server.LocalServer(
            programs, bundle, config.name, config.version, work, LIMITS,
            model=f'precision: PRECISION_{precision.upper()}') as server:
        begin = time.monotonic()
        imported = server.cli_json('import', files.history, *how, *options,
                                   progress=progress, timeout=3600)
        server.wait_until_folded()
        folded_s = time.monotonic() - begin
        late = server.metric('qlarank_ingest_events_total{result="late"}')
        result = Served(imported, folded_s, int(late))
        if config.model.context_features:
            options += ['--context-columns', ','.join(
                feature.name for feature in config.model.context_features)]
        if not served_labels.only(config):
            result.evaluated, result.ranks = _rank(
                server, bundle, config, files, options, work, progress)
        if served_labels.columns(config):
            result.labels = served_labels.served(
                server, bundle, config, files, options, work, progress)
        return result


def _event_features(features):
    """The command line's options for the features of events."""
    from trainer import hyper
    numbers, options = hyper.numbers(features), []
    if numbers:
        options += ['--feature-columns', ','.join(numbers)]
    for category in hyper.categories(features):
        options += ['--category-column',
                    f'{category.name}={category.separator}']
    return options


def _rank(server, bundle, config, files, options, work, progress):
    """The command line's report, and {user: rank}."""
    ranks = pathlib.Path(work) / 'ranks.csv'
    if config.model.candidate_features:
        options = [*options, '--features', write_features(
            bundle, config, files.folder, pathlib.Path(work) / 'features.csv')]
    heldout = (['--heldout', files.heldout] if files.heldout else
               ['--leave-last-out'])
    evaluated = server.cli_json(
        '--timeout', 60, 'evaluate', '--history', files.history, *heldout,
        *options, '--bundle', bundle, '--top-k', '10,50', '--task',
        config.model.tasks[0].name, '--ranks', ranks, progress=progress,
        timeout=36_000)
    return evaluated, read_ranks(ranks)


def write_features(bundle, config, folder, path):
    """Writes the candidate features of a bundle's items, as the trainer's
    evaluation knows them, for the command line; returns the path."""
    from trainer import candidate_features, dataset, export, hyper
    ids = export.read(bundle).tensors['item_ids']
    data = dataset.read(config, folder)
    texts = dict(zip(data.text_ids.tolist(), data.texts.tolist()))
    data = data.with_catalogue(ids)
    features = candidate_features.of_items(data, _known(config, data).known)
    asked = config.model.candidate_features
    count = len(hyper.numbers(asked))
    with open(path, 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow([config.data.item, *hyper.numbers(asked), *(
            category.name for category in hyper.categories(asked))])
        for item, values in zip(ids.tolist(), features[1:]):
            # All digits: the command line reads the same bits back.
            rows.writerow([texts.get(item, item),
                           *map(repr, values[:count].astype(float).tolist()),
                           *_cells(hyper.categories(asked), values[count:])])
    return path


def _cells(categories, indicators):
    """A cell of each category that says what its indicators [F] do."""
    cells, first = [], 0
    for category in categories:
        places = range(len(category.indicators))
        cells.append(category.separator.join(
            _text(category, place) for place in places
            if indicators[first + place]))
        first += len(places)
    return cells


def _text(category, place):
    """A text that has an indicator of this place, and no other."""
    from trainer import categories
    if not category.hashed:
        return category.values[place]
    return next(text for text in map(str, itertools.count())
                if categories.hash_place(text, category.hashed) == place)


def _known(config, data):
    """The trainer's cases.Cases of what is held out."""
    from trainer import cases, parts
    return (cases.last(data) if config.data.split == 'last' else
            cases.after(data, parts.held_out_from(config, data)))


def compute_offline(tensors, config, folder, progress=lambda groups: groups):
    """The trainer's metrics, {ranking: {measure: value}}, and {user: rank}.

    On the CPU, in the bundle's float32.
    """
    import torch
    from trainer import dataset, evaluate
    data, config = dataset.open_data(folder, config)
    data = data.with_catalogue(tensors['item_ids'])
    evaluation = evaluate.Evaluation(data, _known(config, data), 'cpu')
    params = {name: torch.from_numpy(array) for name, array in tensors.items()
              if name != 'item_ids'}
    metrics = evaluation(config.model, params, progress)
    return metrics, evaluation.ranks()


def _digest(paths):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f'{path.name} {path.stat().st_size}\n'.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _cached(path, key, compute):
    """compute()'s JSON-able result, kept in a file as long as key is equal."""
    if path.exists():
        kept = json.loads(path.read_text())
        if kept['key'] == key:
            return kept['value']
    value = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({'key': key, 'value': value}))
    return value


def _load(args):
    """(Config with the bundle's model, tensors)."""
    from trainer import config as config_lib
    from trainer import export
    bundle = export.read(args.bundle)
    config = dataclasses.replace(
        config_lib.load(args.config), model=bundle.hyper, name=bundle.name,
        version=bundle.version)
    return config, bundle.tensors


def _offline(args, config, tensors):
    """An Offline, or what it was before for the same files."""
    from tqdm import tqdm
    bundle, folder = pathlib.Path(args.bundle), pathlib.Path(args.data)
    trainer = pathlib.Path(__file__).resolve().parents[1] / 'trainer'
    files = [folder / name for name in
             (*config.data.train, *config.data.heldout,
              *filter(None, [config.data.catalogue, config.data.users]))]
    key = _digest([*sorted(bundle.iterdir()), pathlib.Path(args.config),
                   *files, *sorted(trainer.glob('*.py'))])

    def compute():
        found = Offline()
        if not served_labels.only(config):
            found.metrics, found.ranks = compute_offline(
                tensors, config, folder, lambda groups: tqdm(
                    groups, desc='ranking offline', unit='group'))
        if served_labels.columns(config):
            found.labels = served_labels.offline(tensors, config, folder)
        return dataclasses.asdict(found)
    found = Offline(**(_cached(pathlib.Path(args.cache), key, compute)
                       if args.cache else compute()))
    if found.labels:
        found.labels = served_labels.Labels(**found.labels)
    return found


def _parser():
    parser = argparse.ArgumentParser(
        prog='python -m bench.served_quality', description=__doc__)
    parser.add_argument('--bundle', required=True, metavar='DIR')
    parser.add_argument('--config', required=True, metavar='FILE',
                        help='the trainer\'s TOML file: how the data is '
                        'written')
    parser.add_argument('--data', required=True, metavar='DIR',
                        help='folder with the config\'s CSV files')
    parser.add_argument('--precision', choices=PRECISIONS, default='f32',
                        help='also serve in this one, and hold it to f32')
    parser.add_argument('--build', default='build/release', metavar='DIR')
    parser.add_argument('--cache', metavar='FILE', help='keeps the offline '
                        'figures of these very files')
    return parser


def _as_good(precision, lower, served):
    """Prints what a lower precision changes; whether little enough."""
    changes = {}
    if served.evaluated:
        changes.update(served_comparison.losses(lower.evaluated['qlarank'],
                                                served.evaluated['qlarank']))
    if served.labels:
        changes.update(served_labels.losses(lower.labels, served.labels))
    print(f'{precision} against f32: ' + ', '.join(
        f'{measure} {change:+.2%}' for measure, change in changes.items()) +
        f'; at most {RELATIVE_TOLERANCE:.1%} is allowed')
    return all(abs(change) <= RELATIVE_TOLERANCE
               for change in changes.values())


def _compare_rankings(config, served, offline, lower, precision):
    """Prints rankings on both paths; lines that say where they differ."""
    figures = served_comparison.offline_figures(offline.metrics)
    quality_report.print_figures(config, offline.metrics, figures,
                                 served.evaluated['qlarank'],
                                 lower and (precision,
                                            lower.evaluated['qlarank']))
    print(served_comparison.places_line(served.ranks, offline.ranks))
    return served_comparison.disagreements(
        served.evaluated['qlarank'], figures,
        (served.evaluated['users'], offline.metrics['users'])
    ) + served_comparison.baseline_disagreements(served.evaluated,
                                                 offline.metrics)


def main(arguments=None):
    """0 if served and offline figures agree, and a lower precision is as good;
    1 if not or for an error."""
    args = _parser().parse_args(arguments)
    try:
        config, tensors = _load(args)
        served = serve(args.bundle, config, args.data,
                       local_server.built(args.build), progress=True)
        quality_report.print_run(served)
        lower = None
        if args.precision != 'f32':
            lower = serve(args.bundle, config, args.data,
                          local_server.built(args.build), progress=True,
                          precision=args.precision)
            quality_report.print_run(lower)
        offline = _offline(args, config, tensors)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    lines = []
    if served.evaluated:
        lines += _compare_rankings(config, served, offline, lower,
                                   args.precision)
    if served.labels:
        quality_report.print_labels(offline.labels, served.labels, lower and (
            args.precision, lower.labels))
        print(served_labels.compare(served.labels, offline.labels).text())
        lines += served_labels.disagreements(served.labels, offline.labels)
    print('\n'.join(lines) or 'served and offline agree to 4 decimals')
    if lower and not _as_good(args.precision, lower, served):
        return 1
    return 1 if lines else 0


if __name__ == '__main__':
    sys.exit(main())
