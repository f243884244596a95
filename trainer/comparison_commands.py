"""The commands that compare configurations: sweep, click-baselines, table."""

import json
import pathlib
import re

from trainer import arguments
from trainer import config as config_lib
from trainer import model_commands


def add(command):
    """Adds the commands' parsers; command(name, run, text) makes one."""
    sub = command('sweep', _sweep, 'Train a list of runs in parallel '
                  'processes; run NAME, seed S writes OUT/NAME/S.')
    arguments.add_data(sub)
    sub.add_argument('--runs', required=True, metavar='FILE',
                     help='TOML file, e.g. trainer/configs/kuairand_runs.toml')
    sub.add_argument('--out', required=True, metavar='DIR')
    sub.add_argument('--only', action='append', default=[], metavar='NAME',
                     help='train this run only; may be repeated')
    sub.add_argument('--jobs', type=int, default=1, metavar='N',
                     help='runs at a time; default 1')
    sub.add_argument('--limit', type=float, default=3_600., metavar='SECONDS',
                     help='stop a run that takes longer; default 3600')
    model_commands.add_parts(sub)
    sub.add_argument('--device', help='default: cuda if there is one')
    sub = command('click-baselines', _click_baselines, 'Predict labels from '
                  'items\' rates; writes OUT/popularity/0 as a run of a sweep.')
    arguments.add_data(sub)
    sub.add_argument('--out', required=True, metavar='DIR')
    sub.add_argument('--context', action='append', default=[], metavar='NAME',
                     help='also by item and this context feature')
    sub = command('table', _table, 'Print a Markdown table of a sweep.')
    sub.add_argument('--runs', required=True, metavar='DIR',
                     help='what the sweep wrote')
    sub.add_argument('--part', default='metrics', choices=('metrics', 'test'),
                     help='metrics, the default: the validation part')
    sub.add_argument('--columns', required=True, metavar='ROW.KEY,...',
                     help='e.g. "is_click.auc,model, all terms.hit@10"')
    sub.add_argument('--order', default='', metavar='NAME,...',
                     help='the runs to show; default: all')
    sub.add_argument('--reliability', metavar='FILE',
                     help='also plot predicted against observed rates (PNG)')


def _sweep(args):
    from trainer import sweep
    runs = sweep.load(args.runs, args.only)
    given = ['--config', args.config, '--data', args.data,
             *(['--final'] * args.final), *(['--test'] * args.test)]
    if args.validate_every is not None:
        given += ['--validate-every', str(args.validate_every)]
    for assignment in args.set:
        given += ['--set', assignment]
    if args.device:
        given += ['--device', args.device]
    failed = sweep.sweep(runs, given, args.out, args.jobs, args.limit,
                         lambda line: print(line, flush=True))
    if failed:
        raise ValueError(f'{failed} of {len(runs)} runs failed')


def _click_baselines(args):
    from trainer import click_baselines, provenance
    data, config = arguments.data(args)
    test_us = config_lib.time_us(config.data.test_from, 'data.test_from')
    for name in (None, *args.context):
        index = None
        if name is not None:
            if name not in data.column_names['context_rows']:
                raise ValueError(f'--context {name}: the model has ' +
                                 ', '.join(data.column_names['context_rows']))
            index = data.column_names['context_rows'].index(name)
        result = {'provenance': provenance.without_model(config.data),
                  **click_baselines.evaluate(data, data.cut_us, test_us, index)}
        folder = 'popularity' + (f' by {name}' if name else '')
        folder = pathlib.Path(args.out) / folder / '0'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'metrics.json').write_text(json.dumps(result, indent=1))
        print(f'{folder}: metrics.json')


def columns(text):
    """Those of --columns; a row's name may have commas, with a blank."""
    return re.split(r',(?! )', text)


def _table(args):
    from trainer import tables
    runs = tables.load(args.runs)
    order = [name for name in args.order.split(',') if name]
    print('\n'.join(tables.table(runs, args.part, columns(args.columns),
                                 order)))
    if args.reliability:
        tables.plot_reliability(runs, args.part, order or list(runs),
                                args.reliability)
