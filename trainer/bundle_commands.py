"""The commands that write bundles: export, golden-requests, golden."""

import pathlib


def add(command):
    """Adds the commands' parsers; command(name, run, text) makes one."""
    sub = command('export', _export, 'Write a bundle, '
                  'OUT/<name>/<version>/, from a trained model.')
    sub.add_argument('--model', required=True, metavar='FILE')
    sub.add_argument('--out', required=True, metavar='DIR', help='e.g. models')
    sub.add_argument('--titles', metavar='FILE',
                     help='item_id<tab>title lines for people to read')
    sub.add_argument('--version', type=int, metavar='N',
                     help='default: that of the configuration. A version that '
                     'is there is never written over')
    sub = command('golden-requests', _golden_requests, 'Give a bundle that has '
                  'none golden requests, golden.textproto, which a server '
                  'replays before it serves the bundle (docs/model.md, section '
                  '13); `export` makes them of itself. Not while a server '
                  'loads the bundle.')
    sub.add_argument('--bundle', required=True, metavar='DIR',
                     help='models/<name>/<version>')
    sub.add_argument('--replace', action='store_true',
                     help='make those that are there anew')
    sub = command('golden', _golden, 'Write the golden vectors of '
                  'tests/golden/README.md.')
    sub.add_argument('--out', required=True, metavar='DIR')
    sub.add_argument('--seed', type=int, default=7)


def _export(args):
    from trainer import checkpoint, export
    config, tensors, _ = checkpoint.load(args.model)
    version = config.version if args.version is None else args.version
    if version < 1:
        raise ValueError(f'--version: {version}; must be at least 1')
    bundle = export.Bundle(config.name, version, config.description,
                           config.model, tensors,
                           checkpoint.item_keys(args.model))
    titles = args.titles
    folder = pathlib.Path(args.out) / config.name / str(version)
    fingerprint = export.write(bundle, folder, titles)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f'{folder}: {size / 1e6:.1f} MB, fingerprint {fingerprint}')


def _golden_requests(args):
    from trainer import export, golden_requests
    size = export.add_golden_requests(args.bundle, args.replace)
    print(f'{pathlib.Path(args.bundle) / golden_requests.FILE}: '
          f'{size / 1e3:.1f} KB')


def _golden(args):
    from trainer import golden
    for name, count in golden.write_all(args.out, args.seed):
        print(f'{pathlib.Path(args.out) / name}: {count} cases')
