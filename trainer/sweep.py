"""Trains a list of runs in parallel processes, for comparing configurations.

The list is a TOML file:

    seeds = [1, 2, 3]
    arguments = []  # More arguments of `python -m trainer train`.

    [[runs]]
    name = "softmax"
    set = ["model.attention=SOFTMAX"]
    arguments = []  # The same, of this run alone.

Run NAME with seed S writes OUT/NAME/S: what `train` writes, and log.txt. What
is already there is not trained again. One run's failure stops no other.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import subprocess
import sys
import time
import tomllib

METRICS = 'metrics.json'
LOG = 'log.txt'


@dataclasses.dataclass(frozen=True)
class Run:
    """One configuration and seed."""
    name: str
    seed: int
    set: tuple = ()
    arguments: tuple = ()


def load(path, only=()):
    """The Runs of a file, all names for the first seed first.

    only: names to take, () for all. Raises ValueError naming what is wrong.
    """
    with open(path, 'rb') as file:
        try:
            values = tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f'{path}: {error}') from error
    entries = values.get('runs', [])
    names = [_checked(path, entry)['name'] for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'{path}: two runs are called {name!r}')
    for name in only:
        if name not in names:
            raise ValueError(f'{path}: no run is called {name!r}; there are ' +
                             ', '.join(names))
    seeds = values.get('seeds', [1])
    common = values.get('arguments', [])
    return [Run(entry['name'], seed, tuple(entry.get('set', ())),
                (*common, *entry.get('arguments', ())))
            for seed in seeds for entry in entries
            if not only or entry['name'] in only]


def _checked(path, entry):
    unknown = set(entry) - {'name', 'set', 'arguments'}
    if unknown:
        raise ValueError(f'{path}: unknown field {unknown.pop()!r} of a run')
    if not entry.get('name') or '/' in entry['name']:
        raise ValueError(f'{path}: a run has the name {entry.get("name")!r}; '
                         'it must be text without /')
    return entry


def sweep(runs, arguments, out, jobs=1, limit_s=3_600., report=print):
    """Trains runs, up to `jobs` at once; returns how many failed.

    arguments: what every run gives to `train`, beside its own. limit_s: a run
    that takes longer is stopped. report: called with a line for every run.
    """
    def one(run):
        return run, _train(run, arguments, pathlib.Path(out), limit_s,
                           max(1, (os.cpu_count() or 1) // jobs))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for future in concurrent.futures.as_completed(
                [pool.submit(one, run) for run in runs]):
            run, (outcome, good) = future.result()
            failed += not good
            report(f'{run.name}/{run.seed}: {outcome}')
    return failed


def _train(run, arguments, out, limit_s, threads):
    """Trains one run in a process of its own: (what happened, good)."""
    folder = out / run.name / str(run.seed)
    if (folder / METRICS).exists():
        return 'is there already', True
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, '-m', 'trainer', 'train', *arguments,
               *run.arguments, '--quiet', '--out', str(folder)]
    for assignment in (*run.set, f'training.seed={run.seed}'):
        command += ['--set', assignment]
    begin = time.monotonic()
    with open(folder / LOG, 'w', encoding='utf-8') as log:
        try:
            status = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, check=False,
                timeout=limit_s, stdin=subprocess.DEVNULL,
                env={**os.environ, 'OMP_NUM_THREADS': str(threads)}).returncode
        except subprocess.TimeoutExpired:
            return f'stopped after {limit_s:.0f} s; see {folder / LOG}', False
    seconds = time.monotonic() - begin
    if status != 0 or not (folder / METRICS).exists():
        return f'failed with status {status}; see {folder / LOG}', False
    return f'trained in {seconds:.0f} s', True
