"""What of a run's tests was skipped, and why.

    test_report.py --out FILE.json JUNIT.xml...

Reads what CTest and pytest write (--output-junit, --junitxml), prints a table
of the reasons why tests were skipped, and writes which tests were executed,
skipped and failed, and on what, to FILE.json.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree

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
    """pytest splits a test's name into class and name; CTest does not."""
    name, owner = case.get('name'), case.get('classname')
    return name if owner in (None, '', name) else f'{owner}.{name}'


def failed(case):
    return (case.find('failure') is not None or
            case.find('error') is not None or case.get('status') == 'fail')


def read(path):
    """{'executed': [name], 'skipped': {name: reason}, 'failed': [name]}."""
    result = {'executed': [], 'skipped': {}, 'failed': []}
    for case in ElementTree.parse(path).getroot().iter('testcase'):
        name, reason = name_of(case), reason_of(case)
        if reason is not None:
            result['skipped'][name] = reason
            continue
        result['executed'].append(name)
        if failed(case):
            result['failed'].append(name)
    return result


def machine():
    """What decides which tests can run."""
    text = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8')
    found = {key: re.search(rf'^{key}\s*: (.*)$', text, re.M)
             for key in ('model name', 'flags')}
    flags = found['flags'].group(1).split() if found['flags'] else []
    return {'processor': found['model name'].group(1)
            if found['model name'] else 'unknown',
            'instructions': [flag for flag in flags if re.match(
                'avx|amx|fma|f16c|sse4', flag)]}


def commit():
    git = subprocess.run(['git', 'describe', '--always', '--dirty'],
                         capture_output=True, text=True, check=False)
    return git.stdout.strip() or 'unknown'


def table(runs):
    """The lines that say how many ran, and why the others did not."""
    lines = []
    for name, run in runs.items():
        skipped = len(run['skipped'])
        lines.append(f'{name}: {len(run["executed"]):,} ran, '
                     f'{len(run["failed"]):,} of them failed; '
                     f'{skipped:,} were skipped{":" if skipped else ""}')
        reasons = collections.Counter(run['skipped'].values())
        lines += [f'  {count:6,}  {reason}'
                  for reason, count in reasons.most_common()]
    return lines


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    parser.add_argument('--out', required=True, metavar='FILE')
    parser.add_argument('files', nargs='+', metavar='JUNIT.xml')
    args = parser.parse_args(arguments)
    # A runner that could not begin has written nothing.
    runs = {pathlib.Path(path).stem: read(path) for path in args.files
            if pathlib.Path(path).exists()}
    pathlib.Path(args.out).write_text(json.dumps(
        {'commit': commit(), 'machine': machine(), **runs}, indent=1) + '\n',
        encoding='utf-8')
    print('\n'.join('    ' + line for line in table(runs)))


if __name__ == '__main__':
    main()
