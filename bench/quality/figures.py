"""Figures of runs as people read them, and where they come from."""

import collections
import decimal

from bench.quality import store

UNKNOWN = '-'


def text(figure, decimals=4):
    """'.3560 ± .0017 (3)': mean, deviation, number of seeds; '-' for None."""
    if figure is None:
        return UNKNOWN
    shown = number(figure.mean, decimals)
    if figure.deviation is not None:
        shown += f' ± {number(figure.deviation, decimals)}'
    return shown if figure.seeds == 0 else f'{shown} ({figure.seeds})'


def number(value, decimals):
    """As '.0075' and '1.011', halves away from zero."""
    rounded = decimal.Decimal(repr(value)).quantize(
        decimal.Decimal(1).scaleb(-decimals), decimal.ROUND_HALF_UP)
    shown = f'{rounded:f}'
    return shown[1:] if shown.startswith('0.') else shown


def origin(runs):
    """The line below a table: of how many trainings it is, and of which
    commits, devices and versions of PyTorch."""
    groups = collections.Counter(
        _group(said) for run in runs for said in run.provenances())
    # What is known less of stands last.
    parts = [f'{_runs(count)} {words}' for words, count in sorted(
        groups.items(), key=lambda group: (store.CARRIED in group[0], group))]
    return f'<sub>{"; ".join(parts)}.</sub>' if parts else ''


def _runs(count):
    return '1 run' if count == 1 else f'{count} runs'


def _group(said):
    if said['commit'] == store.CARRIED:
        return (f'from {store.CARRIED} ({said["device"]}; neither commit nor '
                'PyTorch version is known)')
    code = '`' + said['commit'][:10] + ('+' if said['changed'] else '') + '`'
    if said.get('commit_given'):
        code += ' (as was said, without git)'
    version = said['pytorch']
    return f'of commit {code}, {said["device"]}' + (
        f', PyTorch {version}' if version else '')
