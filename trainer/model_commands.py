"""The commands that make and try models: train, evaluate."""

import argparse
import csv
import dataclasses
import json
import pathlib
import re
import sys

from trainer import arguments
from trainer import baselines
from trainer import config as config_lib
from trainer import metric_tables


def add(command):
    """Adds the commands' parsers; command(name, run, text) makes one."""
    sub = command('train', _train, 'Train a model; writes model.npz, '
                  'metrics.json and curves.png. The newest tenth of the '
                  'training events validates: it says which weights are kept '
                  'and when to stop. The same command again goes on after the '
                  'last whole round of one that was interrupted.')
    arguments.add_data(sub)
    sub.add_argument('--out', required=True, metavar='DIR')
    sub.add_argument('--until', metavar='DATE', help='train on events before '
                     'this date (UTC) and validate on what follows, up to what '
                     'is held out')
    sub.add_argument('--start-from', metavar='PATH', help='begin with the '
                     'tensors of a model.npz or a bundle\'s folder: items by '
                     'id, actions, values, features and tasks by name')
    sub.add_argument('--read', type=_lengths, default=(), metavar='EVENTS,...',
                     help='rank once more from so many of a history\'s newest '
                     'events alone, e.g. 200,1000')
    sub.add_argument('--tensorboard', metavar='DIR', help='write losses, '
                     'validations, learning rate and speed for TensorBoard')
    add_parts(sub)
    _add_how(sub)
    sub.add_argument('--quiet', action='store_true', help='no progress bar')
    sub = command('evaluate', _evaluate, 'Rank the whole catalogue for '
                  'every user, score the labels that are held out, or both.')
    sub.add_argument('--model', required=True, metavar='PATH',
                     help='model.npz, as train wrote it, or a bundle\'s folder')
    sub.add_argument('--config', metavar='FILE', help='for a bundle: the TOML '
                     'file, whose [data] says how the data is written')
    sub.add_argument('--data', required=True, metavar='PATH',
                     help='folder with the CSV or Parquet files, or one '
                     'that `prepare` wrote')
    sub.add_argument('--cut', metavar='DATE',
                     help='default: the first held-out event')
    _add_how(sub)
    sub.add_argument('--history', type=int, metavar='N', help='let the model '
                     'read only the newest N events before each request; '
                     'default: all of them')
    sub.add_argument('--new-items', action='store_true', help='rank only items '
                     'that nobody had before the cut, where one is to be found')
    sub.add_argument('--json', action='store_true')
    sub.add_argument('--ranks', metavar='FILE', help='write user,rank lines: '
                     'where the first item to find stands in the whole '
                     'catalogue, 0 for nowhere')


def add_parts(sub):
    """Adds the options of when a training is measured, and on what."""
    sub.add_argument('--validate-every', type=int, metavar='ROUNDS',
                     help='a round is an epoch, or a twentieth of '
                     'training.steps; 0: only at the end; default: about '
                     'twenty times in all')
    sub.add_argument('--final', action='store_true', help='train on all that '
                     'is not held out, for the whole length, and validate on '
                     'nothing: what ships')
    sub.add_argument('--refit', action='store_true', help='then train again on '
                     'all that is not held out, the newest events too, as long '
                     'as was best')
    sub.add_argument('--test', action='store_true', help='measure the model on '
                     'what is held out, too')


def _add_how(sub):
    """Adds the options of what is measured."""
    sub.add_argument('--device', help='default: cuda if there is one')
    sub.add_argument('--moments', choices=('first', 'all'), default='first',
                     help='which of a user\'s moments in the test part are '
                     'asked about; all takes as many times as long as there '
                     'are')
    sub.add_argument('--half-life-days', type=float, metavar='DAYS',
                     default=baselines.HALF_LIFE_DAYS, help='of the own '
                     'decayed counts; default: %(default)g')


def _lengths(text):
    """Those of --read."""
    if not re.fullmatch(r'[1-9]\d*(,[1-9]\d*)*', text):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no list of numbers of events such as 200,1000')
    return tuple(int(part) for part in text.split(','))


def _how(args, **more):
    from trainer import evaluations
    return evaluations.How(arguments.device(args),
                           every_moment=args.moments == 'all',
                           half_life_days=args.half_life_days, **more)


def _print_metrics(metrics):
    print('\n'.join(metric_tables.lines(metrics)))


def _parts(args, config, data):
    """The parts.Parts of `train`."""
    from trainer import attention, evaluate, parts
    # Attention with biases by distance knows no longer history than it saw.
    for length in args.read:
        evaluate.check_history(config.model, length)
    windows = {*args.read, *(() if config.model.attention == attention.QLA
                             else (config.training.window,))}
    how = _how(args, windows=(None, *sorted(windows)),
               **({} if args.quiet else {'progress': _progress}))
    found = parts.cut(config, data, how, args.until, args.final)
    if args.test and not found.make_test:
        raise ValueError('--test: nothing is held out (data.heldout, '
                         'data.split or data.test_from)')
    for note in found.notes:
        print(note, file=sys.stderr)
    return found


def _train(args):
    from trainer import checkpoint, prepared, provenance, recipe, report
    from trainer import stopping, train, unfinished, warm_start
    from trainer import board as board_lib
    board = board_lib.Board(board_lib.open_writer(
        args.tensorboard)) if args.tensorboard else None
    start = warm_start.load(args.start_from) if args.start_from else None
    data, config = arguments.data(args)
    config, data, chosen = recipe.complete(
        config, data, prepared.is_prepared(args.data))
    print('\n'.join(chosen), flush=True)
    parts = _parts(args, config, data)
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    rest = unfinished.Unfinished(out / 'unfinished.pt', config, parts.events)
    model, history = train.train(config, parts.events, parts.validation,
                                 arguments.device(args), args.validate_every,
                                 args.quiet, rest, start, board)
    best = stopping.best(history) or {}
    metrics = best.get('validation', {})
    if best and args.refit:
        config, model = _refit(args, config, parts, best, start)
    more = {'parameters': sum(value.numel() for value in model.parameters())}
    more['provenance'] = provenance.of(config, arguments.device(args),
                                       _options(args))
    if best:
        more['best_step'] = best['step']
        if 'start_share' in best:
            more['start_share'] = best['start_share']
    checkpoint.save(out / 'model.npz', config, model.to_arrays(),
                    data.item_ids, metrics, data.item_keys)
    if args.test:
        more['test'] = parts.make_test()(config.model, model.params())
    report.write(out, config, history, metrics, **more)
    rest.remove()
    print(f'{out}: model.npz, metrics.json, curves.png')
    if metrics:
        print(f'\nvalidation part, best after step {best["step"]:,} of '
              f'{history[-1]["step"]:,}')
        _print_metrics(metrics)
    if args.test:
        print('\ntest part')
        _print_metrics(more['test'])


def _options(args):
    """Those of `train` that change what is trained or measured, beside the
    config."""
    found = {name: getattr(args, name) for name in (
        'final', 'until', 'refit', 'start_from', 'validate_every', 'moments')}
    return {name: value for name, value in found.items()
            if value not in (False, None, 'first')}


def _refit(args, config, parts, best, start):
    """(Config, Model) of a training on all that is not held out, as long as the
    best one was for each event, with as much of its start."""
    from trainer import train, unfinished
    steps = max(1, round(best['step'] * parts.known.num_events /
                         parts.events.num_events))
    share = best.get('start_share', config.training.start_share)
    config = dataclasses.replace(config, training=dataclasses.replace(
        config.training, epochs=None, steps=steps, start_share=share,
        choose_start_share=False))
    print(f'again on all {parts.known.num_events:,} events that are not held '
          f'out: {steps:,} steps', flush=True)
    rest = unfinished.Unfinished(pathlib.Path(args.out) / 'unfinished_refit.pt',
                                 config, parts.known)
    model, _ = train.train(config, parts.known, None, arguments.device(args), 0,
                           args.quiet, rest, start)
    rest.remove()
    return config, model


def _progress(groups):
    try:
        from tqdm import tqdm
    except ImportError:
        return groups
    return tqdm(groups, desc='ranking', unit='group', leave=False)


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


def _evaluation(args, config, data):
    """What `evaluate` measures."""
    from trainer import evaluate, evaluations
    if args.history is not None and args.history < 1:
        raise ValueError(f'--history: {args.history}; must be at least 1')
    evaluate.check_history(config.model, args.history)
    how = _how(args, progress=_progress, only_new=args.new_items,
               history=args.history)
    if config.data.test_from:
        test_us = config_lib.time_us(config.data.test_from,
                                     'data.test_from')
        return evaluations.between(data, test_us, None, how, rank=not
                                   evaluations.every_task_has_labels(data))
    if config.data.split == 'last':
        return evaluations.of_last(data, 0, how)
    cut_us = data.cut_us
    if args.cut:
        cut_us = config_lib.time_us(args.cut, '--cut')
    if cut_us < 0:
        raise ValueError('the data has no held-out files: give --cut, a date '
                         'such as 2017-10-01')
    return evaluations.between(data, cut_us, None, how)


def _evaluate(args):
    import torch
    from trainer import dataset
    if args.ranks and args.moments == 'all':
        raise ValueError('--ranks: has one line a user, for --moments first')
    config, tensors = _model(args)
    data, config = dataset.open_data(args.data, config)
    data = data.with_catalogue(tensors['item_ids'])
    params = {name: torch.from_numpy(array) for name, array in tensors.items()
              if name != 'item_ids'}
    evaluation = _evaluation(args, config, data)
    if args.ranks and not evaluation.rankings:
        raise ValueError('--ranks: only labels are held out')
    metrics = evaluation(config.model, params)
    if args.ranks:
        with open(args.ranks, 'w', newline='') as file:
            csv.writer(file).writerows([
                ('user', 'rank'), *evaluation.rankings.ranks().items()])
    if args.json:
        print(json.dumps(metrics, indent=1))
    else:
        _print_metrics(metrics)
