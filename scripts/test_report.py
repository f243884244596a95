"""What of a run's tests was skipped, and why.

    test_report.py --out FILE.json JUNIT.xml...

Reads what CTest and pytest write (--output-junit, --junitxml), prints a table
of the reasons why tests were skipped, and writes FILE.json:

    {"format": 1, "date": UTC, "commit": "79b4136abc",
     "machine": {"processor": ..., "instructions": ["avx2", ...]},
     "ran": [test, ...], "failed": [test, ...],
     "skipped": {reason: [test, ...], ...}}

A test is Suite.Test, or trainer/test_x.py::test_y. tests/executed/executed.py
keeps such files.
"""

import argparse
import collections
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True
from bench.performance import machine as machine_lib  # noqa: E402

NO_REASON = '(the test does not say)'


def reason_of(case):
    """Why a <testcase> was skipped; None where it was not."""
    skipped = case.find('skipped')
    if case.get('status') == 'disabled':
        return 'disabled'
    if skipped is None:
        # CTest's word for a test that it could not start is "notrun" too.
        return None
    # GoogleTest prints FILE:LINE: Skipped, and the message below it.
    output = case.findtext('system-out') or ''
    said = re.search(r': Skipped\n(.+)', output)
    if said:
        return said.group(1).strip()
    message = skipped.get('message') or ''
    return NO_REASON if message.startswith('SKIP_') or not message else message


def name_of(case):
    """pytest splits a test's name into its module and its own, with dots in the
    one for folders and classes alike; CTest does not."""
    name, owner = case.get('name'), case.get('classname')
    if owner in (None, '', name):
        return name
    parts = owner.split('.')
    module = next((n for n, part in enumerate(parts) if part[:1].isupper()),
                  len(parts))
    return '::'.join(['/'.join(parts[:module]) + '.py', *parts[module:], name])


def failed(case):
    return (case.find('failure') is not None or
            case.find('error') is not None or case.get('status') == 'fail')


def read(path):
    """{'ran': [name], 'skipped': {name: reason}, 'failed': [name]}."""
    result = {'ran': [], 'skipped': {}, 'failed': []}
    for case in ElementTree.parse(path).getroot().iter('testcase'):
        name, reason = name_of(case), reason_of(case)
        if reason is not None:
            result['skipped'][name] = reason
            continue
        result['ran'].append(name)
        if failed(case):
            result['failed'].append(name)
    return result


def table(runs):
    """The lines that say how many ran, and why the others did not."""
    lines = []
    for name, run in runs.items():
        skipped = len(run['skipped'])
        lines.append(f'{name}: {len(run["ran"]):,} ran, '
                     f'{len(run["failed"]):,} of them failed; '
                     f'{skipped:,} were skipped{":" if skipped else ""}')
        reasons = collections.Counter(run['skipped'].values())
        lines += [f'  {count:6,}  {reason}'
                  for reason, count in reasons.most_common()]
    return lines


def record(runs):
    """What FILE.json holds."""
    skipped = collections.defaultdict(list)
    for run in runs:
        for name, reason in run['skipped'].items():
            skipped[reason].append(name)
    described = machine_lib.describe()
    return {'format': 1, 'date': machine_lib.now(),
            'commit': machine_lib.commit()['commit'],
            'machine': {key: described[key]
                        for key in ('processor', 'instructions')},
            'ran': [name for run in runs for name in run['ran']],
            'failed': [name for run in runs for name in run['failed']],
            'skipped': skipped}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    parser.add_argument('--out', required=True, metavar='FILE')
    parser.add_argument('files', nargs='+', metavar='JUNIT.xml')
    args = parser.parse_args(arguments)
    # A runner that could not begin has written nothing.
    runs = {pathlib.Path(path).stem: read(path) for path in args.files
            if pathlib.Path(path).exists()}
    pathlib.Path(args.out).write_text(
        json.dumps(record(runs.values()), indent=1) + '\n', encoding='utf-8')
    print('\n'.join('    ' + line for line in table(runs)))


if __name__ == '__main__':
    main()
