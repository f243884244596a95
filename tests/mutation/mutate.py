"""Breaks lines one at a time and shows which test notices.

    python3 tests/mutation/mutate.py [--check] [NAME...]

The lines are those of lines/*.toml, each of which has a title and, for a line:

    [[mutation]]
    name = ""     # short, unique
    breaks = ""   # what does not hold any more
    file = ""     # from the repository's root
    find = ""     # a part of the file that is there once
    replace = ""  # what stands there instead
    tests = []    # to build and run, in this order, until one fails

A test is a GoogleTest program with arguments behind it, or "ctest NAME" for
another one of CTest's, or "pytest ARGUMENTS". Lines are broken in a copy of the
working tree, build/mutation/tree, which has a build folder of its own: the tree
itself is only read. A mutation that no test notices is a test that is missing:
then, and when a line is not there any more, or not once, the exit code is 1.
With all of the mutations, the tables of docs/proof.md are written anew; with
NAMEs, parts of their names or titles, they are only printed. --check looks for
the lines, in a moment.
"""

import argparse
import contextlib
import dataclasses
import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTS = sorted((pathlib.Path(__file__).parent / 'lines').glob('*.toml'))
WORK = ROOT / 'build/mutation'
TREE = WORK / 'tree'
PROOF = ROOT / 'docs/proof.md'
BEGIN, END = '<!-- mutations: ./run mutate -->', '<!-- /mutations -->'
PRESET = 'dev'
# What the tests that are Python scripts, in CTest, run.
PROGRAMS = ('qlarank_server', 'qlarank')
# Made by ./run; the copy of the tree has a link to it.
ENVIRONMENT = '.venv'
# Of a test program; one that is stuck has noticed, too.
TEST_SECONDS = 100
# What GoogleTest, pytest, and unittest under CTest say of a test that failed.
FAILED = re.compile(r'^(?:\[  FAILED  \] |FAILED \S*?(?=\w+\.py::)|'
                    r'(?:\d+: )?(?:FAIL|ERROR): )([\w/.:-]+)', re.MULTILINE)
RAN = re.compile(r'^\[==========\] (\d+) tests? from .* ran|^(\d+) passed|'
                 r'tests passed, 0 tests failed out of (\d+)', re.MULTILINE)


class BadList(Exception):
    """A mutation that cannot be made, or proves nothing."""


@dataclasses.dataclass(frozen=True)
class Mutation:
    name: str
    breaks: str
    file: str
    find: str
    replace: str
    tests: list
    title: str = ''  # of the list that it is in

    def applied_to(self, text):
        count = text.count(self.find)
        if count != 1:
            raise BadList(f'{self.name}: {self.file} has {count} times, not '
                          f'once:\n    {self.find}')
        return text.replace(self.find, self.replace)


@dataclasses.dataclass(frozen=True)
class Outcome:
    noticed_by: str    # '' when nothing did
    seconds: float     # of building and running
    problem: str = ''  # why it proves nothing, as that it cannot be built

    def __str__(self):
        if self.problem:
            return '**cannot be tried**'
        return f'`{self.noticed_by}`' if self.noticed_by else '**nothing**'


def read_lists(texts):
    lists = [tomllib.loads(text) for text in texts]
    mutations = [Mutation(title=entries['title'], **entry)
                 for entries in lists for entry in entries['mutation']]
    names = [mutation.name for mutation in mutations]
    for name in names:
        if names.count(name) > 1:
            raise BadList(f'{name}: there are two of this name')
    for mutation in mutations:
        if mutation.find == mutation.replace:
            raise BadList(f'{mutation.name}: replaces nothing')
        if not mutation.tests:
            raise BadList(f'{mutation.name}: names no test')
    return mutations


def check(mutations, root=ROOT):
    """That every line is there, once; raises BadList otherwise."""
    problems = []
    for mutation in mutations:
        try:
            mutation.applied_to((root / mutation.file).read_text())
        except FileNotFoundError:
            problems.append(f'{mutation.name}: there is no {mutation.file}')
        except BadList as problem:
            problems.append(str(problem))
    if problems:
        raise BadList('\n'.join(problems))


def first_failure(output):
    """The first test that a program's output says has failed, or None."""
    found = FAILED.search(output)
    return found.group(1) if found else None


def copy_tree():
    """Brings the copy up to date; what has not changed keeps its time, so that
    little is built anew."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    wanted = {name for name in listed.decode().split('\0')
              if name and (ROOT / name).is_file()}
    for path in list(TREE.rglob('*')) if TREE.exists() else []:
        name = path.relative_to(TREE)
        if name.parts[0] == 'build' or path.is_dir():
            continue
        if str(name) not in wanted:
            path.unlink()
    for name in sorted(wanted):
        source, target = ROOT / name, TREE / name
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    if not (TREE / ENVIRONMENT).exists():
        (TREE / ENVIRONMENT).symlink_to(ROOT / ENVIRONMENT)


def run(command, log, timeout=None):
    """Runs a command in the copy; its exit code, None when it was stuck, and
    what it printed."""
    # Compiled once, here or in the tree itself.
    environment = {**os.environ, 'CCACHE_BASEDIR': str(ROOT),
                   'CCACHE_NOHASHDIR': '1'}
    with open(log, 'w+') as output:
        process = subprocess.Popen(command, cwd=TREE, stdout=output,
                                   stderr=subprocess.STDOUT, env=environment,
                                   start_new_session=True)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # It, and what it started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
        output.seek(0)
        return code, output.read()


def build(targets):
    if not targets:
        return
    code, output = run(['cmake', '--build', '--preset', PRESET, '--target',
                        *targets], WORK / 'build.log')
    if code != 0:
        raise BadList(f'cannot be built:\n{output[-3000:]}')


def command_of(test):
    """The command that runs a test."""
    name, *arguments = test.split()
    if name == 'ctest':
        return ['ctest', '--test-dir', f'build/{PRESET}', '-V', '-R',
                f'^{arguments[0]}$']
    if name == 'pytest':
        return [f'{ENVIRONMENT}/bin/python', '-m', 'pytest', '-q', '-x', *arguments]
    return [program_path(name), '--gtest_brief=1', '--gtest_fail_fast=1',
            *arguments]


def program_path(name):
    found = [path for path in (TREE / 'build' / PRESET / 'tests').rglob(name)
             if path.is_file()]
    if len(found) != 1:
        raise BadList(f'there is no test program {name}')
    return found[0]


def run_tests(tests):
    """The first failure of the programs, '' when there is none."""
    for test in tests:
        name = test.split()[0]
        code, output = run(command_of(test), WORK / f'{name}.log',
                           TEST_SECONDS)
        if code is None:
            return f'{name} (stuck)'
        if code != 0:
            return first_failure(output) or f'{name} (exit code {code})'
        ran = RAN.search(output)
        if ran is None or not any(int(count or 0) for count in ran.groups()):
            raise BadList(f'{test}: ran no test')
    return ''


def programs(mutations):
    """What has to be built for the tests of some mutations."""
    names = {test.split()[0] for mutation in mutations
             for test in mutation.tests}
    if 'ctest' in names:
        names |= set(PROGRAMS)
    return sorted(names - {'ctest', 'pytest'})


def try_mutation(mutation):
    begin = time.monotonic()
    path = TREE / mutation.file
    sound = path.read_text()
    noticed_by = problem = ''
    try:
        path.write_text(mutation.applied_to(sound))
        build(programs([mutation]))
        noticed_by = run_tests(mutation.tests)
    except BadList as bad:
        problem = str(bad)
    finally:
        path.write_text(sound)
    return Outcome(noticed_by, time.monotonic() - begin, problem)


def line_of(mutation, root=ROOT):
    text = (root / mutation.file).read_text()
    return text[:text.index(mutation.find)].count('\n') + 1


def table(results):
    """Markdown, a part for each list; results: [(Mutation, Outcome)]."""
    lines = []
    title = None
    for mutation, outcome in results:
        if mutation.title != title:
            title = mutation.title
            lines += ['', f'**{title}**', '',
                      '| line | what does not hold any more | noticed by | '
                      'after |', '|---|---|---|---:|']
        lines.append(f'| `{mutation.file}`, {mutation.name} | '
                     f'{mutation.breaks} | {outcome} | '
                     f'{outcome.seconds:.0f} s |')
    return '\n'.join(lines).strip()


def with_table(text, made_of, content):
    """The page with the table between its marks."""
    head, mark, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not mark or not end:
        raise BadList(f'{PROOF} lacks the marks of the table')
    return f'{head}{BEGIN}\n{made_of}\n\n{content}\n{END}{tail}'


def commit():
    name = subprocess.run(['git', 'rev-parse', '--short=10', 'HEAD'], cwd=ROOT,
                          check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()
    changed = subprocess.run(['git', 'diff', '--quiet', 'HEAD', '--', '.',
                              ':!docs'], cwd=ROOT).returncode
    return name + (' with changes' if changed else '')


def main(arguments):
    parser = argparse.ArgumentParser(prog='./run mutate', description=__doc__,
                                     formatter_class=argparse.
                                     RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true')
    parser.add_argument('names', nargs='*', metavar='NAME')
    options = parser.parse_args(arguments)
    mutations = read_lists(path.read_text() for path in LISTS)
    check(mutations)
    if options.check:
        print(f'{len(mutations)} mutations, each of a line that is there once')
        return 0
    chosen = [m for m in mutations if not options.names or
              any(name in m.name or name in m.title
                  for name in options.names)]
    if not chosen:
        raise BadList('no mutation has such a name')

    WORK.mkdir(parents=True, exist_ok=True)
    tested = commit()  # the tree may go on meanwhile
    copy_tree()
    print('building what is sound, and running its tests', flush=True)
    code, output = run(['cmake', '--preset', PRESET], WORK / 'configure.log')
    if code != 0:
        raise BadList(f'cannot be configured:\n{output[-3000:]}')
    build(programs(chosen))
    for test in sorted({test for m in chosen for test in m.tests}):
        if failure := run_tests([test]):
            raise BadList(f'{test}: fails already: {failure}')

    results = []
    for mutation in chosen:
        outcome = try_mutation(mutation)
        results.append((mutation, outcome))
        print(f'{mutation.name}: {outcome} ({outcome.seconds:.0f} s)\n'
              f'{outcome.problem}'.strip(), flush=True)
    survived = [m.name for m, outcome in results
                if not outcome.noticed_by and not outcome.problem]
    untried = [m.name for m, outcome in results if outcome.problem]
    if len(chosen) == len(mutations):
        made_of = (f'At commit {tested}, {datetime.date.today()}: '
                   f'{len(results) - len(untried)} lines broken, '
                   f'{len(survived)} unnoticed.')
        PROOF.write_text(with_table(PROOF.read_text(), made_of,
                                    table(results)))
        print('the table is in docs/proof.md')
    else:
        print(table(results))
    if survived:
        print('tests are missing: nothing noticed ' + ', '.join(survived))
    if untried:
        print('break these otherwise: ' + ', '.join(untried))
    return 1 if survived or untried else 0


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except BadList as problem:
        sys.exit(f'./run mutate: {problem}')
