"""The trainer's command line: python -m trainer <command> --help."""

import argparse
import sys

from trainer import bundle_commands
from trainer import comparison_commands
from trainer import data_commands
from trainer import model_commands


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
    data_commands.add(command)
    model_commands.add(command)
    bundle_commands.add(command)
    comparison_commands.add(command)
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
