"""Which tests were executed on which kind of machine, and which on none.

    python3 tests/executed/executed.py record build/logs/executed.json

keeps what is needed of a run of all tests in INSTRUCTIONS.json beside this
file, the latest run of each set of instructions, and writes into docs/proof.md
what none of the newest ten records has executed. A record holds the names of
what was skipped, by reason, and of what was executed only how many tests each
suite had: enough to tell "executed there" from "not there yet".
"""

import collections
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROOF = HERE.parents[1] / 'docs/proof.md'
BEGIN = '<!-- executed: tests/executed/executed.py -->'
END = '<!-- /executed -->'
RECORDS = 10


def suite(test):
    """Of a name such as Suite.Test or file.py::test, with its parameters."""
    if '::' in test:
        return test.partition('::')[0]
    return test.partition('.')[0]


def compact(run):
    """What is kept of build/logs/executed.json."""
    if run.get('format') != 1:
        raise ValueError(f'format {run.get("format")!r}; expected 1')
    if not run['ran']:
        raise ValueError('a run in which nothing ran')
    return {'date': run['date'], 'commit': run['commit'],
            'machine': run['machine'],
            'suites': dict(sorted(collections.Counter(
                map(suite, run['ran'])).items())),
            'skipped': {reason: sorted(tests) for reason, tests in
                        sorted(run['skipped'].items()) if tests}}


def file_name(record):
    """One record for each set of instructions: what runs follows from those."""
    instructions = '-'.join(record['machine']['instructions']) or 'none'
    return re.sub(r'[^a-z0-9_-]', '_', instructions.lower()) + '.json'


def skipped(record):
    return {test for tests in record['skipped'].values() for test in tests}


def executed_nowhere(records):
    """{reason: [test]} of what no record has executed. records: newest first;
    the newest says which tests there are, and what it skipped of them."""
    if not records:
        return {}
    newest, *others = records
    found = {}
    for reason, tests in newest['skipped'].items():
        # Elsewhere a test was executed when its suite was, and it not skipped.
        nowhere = [test for test in tests if not any(
            suite(test) in record['suites'] and test not in skipped(record)
            for record in others)]
        if nowhere:
            found[reason] = nowhere
    return found


def page(records):
    """Markdown."""
    lines = []
    for record in records:
        machine = record['machine']
        total = sum(record['suites'].values())
        lines.append(f'* {machine["processor"]} '
                     f'({", ".join(machine["instructions"])}), commit '
                     f'{record["commit"]}, {record["date"][:10]}: {total:,} '
                     f'executed, {len(skipped(record)):,} skipped')
    nowhere = executed_nowhere(records)
    if not nowhere:
        lines += ['', 'Every test was executed on one of them.']
        return '\n'.join(lines)
    lines += ['', '| executed on none of them | tests | why |',
              '|---|---:|---|']
    for reason, tests in sorted(nowhere.items()):
        for name, count in sorted(collections.Counter(
                map(suite, tests)).items()):
            lines.append(f'| `{name}` | {count} | {reason} |')
    return '\n'.join(lines)


def with_page(text, content):
    head, mark, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not mark or not end:
        raise ValueError(f'{PROOF} lacks the marks of what was executed')
    return f'{head}{BEGIN}\n{content}\n{END}{tail}'


def load(folder):
    """The records of a folder, the newest first."""
    records = [json.loads(path.read_text()) for path in folder.glob('*.json')]
    return sorted(records, key=lambda record: record['date'],
                  reverse=True)[:RECORDS]


def record(run, folder=HERE, proof=PROOF):
    kept = compact(run)
    (folder / file_name(kept)).write_text(
        json.dumps(kept, indent=1, sort_keys=True) + '\n')
    proof.write_text(with_page(proof.read_text(), page(load(folder))))


if __name__ == '__main__':
    if len(sys.argv) != 3 or sys.argv[1] != 'record':
        sys.exit(__doc__)
    try:
        record(json.loads(pathlib.Path(sys.argv[2]).read_text()))
    except (OSError, ValueError, KeyError) as problem:
        sys.exit(f'{sys.argv[2]}: {problem}')
