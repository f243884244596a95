"""Runs on disk: every one is kept, in a file of its own.

    RESULTS/MACHINE/runs/DATE-COMMIT[-SECTION...].json

MACHINE is the processor's name and instruction sets (machine.folder_name), so
that two processors of one name do not share a folder. A file is written again
after each section of its run and never by a later one.
"""

import dataclasses
import json
import re

from bench.performance import figures
from bench.performance import machine as machine_lib

FORMAT = 1


@dataclasses.dataclass
class Section:
    """What a run has of one section."""
    figures: list
    data: dict = dataclasses.field(default_factory=dict)
    seconds: float = None  # that measuring took

    def __getitem__(self, name):
        """The figure of that name, or None."""
        return next((f for f in self.figures if f.name == name), None)


@dataclasses.dataclass
class Run:
    """complete: every section there is was asked for and measured, so that one
    run has every figure. asked: the sections that were asked for. before: the
    machine's condition then (gap_probe, load average). origin: where a run
    that was not written by its own benchmark was taken from."""
    date: str
    commit: str
    dirty: bool
    machine: dict
    asked: list
    complete: bool = False
    commit_date: str = None
    before: dict = dataclasses.field(default_factory=dict)
    origin: str = ''
    sections: dict = dataclasses.field(default_factory=dict)

    @property
    def code(self):
        """The commit, with "+" when files differed from it."""
        return self.commit[:10] + ('+' if self.dirty else '')

    @property
    def age(self):
        """Sorts by commit, then by run."""
        return (self.commit_date or self.date, self.date)


def folder_of(folder, run):
    """Where the runs of such a machine are, below FOLDER. A machine that has
    the name of one that is known there, but has other instructions, is another
    model of processor or has more cores, gets a folder of its own."""
    name = machine_lib.folder_name(run.machine)
    known = [other.machine for other in _read_folder(folder / name)]
    if machine_lib.exact(run.machine):  # runs that say as much come first
        known = [other for other in known if machine_lib.exact(other)] or known
    if not known or any(machine_lib.may_be_one(run.machine, other)
                        for other in known):
        return folder / name
    return folder / machine_lib.exact_folder_name(run.machine)


def path_of(folder, run):
    """The file of a run, below FOLDER."""
    when = re.sub(r'[-:]|\+00:00$', '', run.date)
    parts = [when, run.code.replace('+', '-changed')]
    if not run.complete and len(run.asked) <= 3:
        parts += run.asked
    elif not run.complete:
        parts.append('partial')
    return folder_of(folder, run) / 'runs' / ('-'.join(parts) + '.json')


def write(path, run):
    """Writes a run to its file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix('.tmp')
    aside.write_text(_text(run))
    aside.replace(path)


def _text(run):
    """JSON with a line for each figure and one for a section's data: what
    changed can be read in a diff."""
    head = {'format': FORMAT, **{
        field.name: getattr(run, field.name)
        for field in dataclasses.fields(run) if field.name != 'sections'}}
    lines = [f' {json.dumps(key)}: {json.dumps(value)}'
             for key, value in head.items()]
    sections = []
    for name, section in run.sections.items():
        found = ',\n'.join('    ' + json.dumps(_figure_json(figure))
                           for figure in section.figures)
        sections.append(
            f'  {json.dumps(name)}: {{\n   "seconds": '
            f'{json.dumps(section.seconds)},\n   "figures": [\n{found}],\n'
            f'   "data": {json.dumps(section.data)}}}')
    lines.append(' "sections": {\n' + ',\n'.join(sections) + '}')
    return '{\n' + ',\n'.join(lines) + '}\n'


def _figure_json(figure):
    """Without what is as by default."""
    return {field.name: getattr(figure, field.name)
            for field in dataclasses.fields(figure)
            if field.name in ('name', 'value') or
            getattr(figure, field.name) != field.default}


def read(path):
    """The Run of a file. ValueError names the file when it is no such."""
    try:
        content = json.loads(path.read_text())
        if content.pop('format') != FORMAT:
            raise ValueError(f'its format is not {FORMAT}')
        sections = {name: Section(
            [_figure(values) for values in section['figures']],
            section['data'], section['seconds'])
            for name, section in content.pop('sections').items()}
        return Run(**content, sections=sections)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: {error}') from error


def _figure(values):
    return figures.Figure(**{**values,
                             'needs': tuple(values.get('needs', ()))})


def _read_folder(own):
    return [read(path) for path in sorted(own.glob('runs/*.json'))]


def read_all(folder):
    """{machine's folder name: [Run], oldest commit first}."""
    found = {}
    for own in sorted(path for path in folder.iterdir() if path.is_dir()):
        runs = sorted(_read_folder(own), key=lambda run: run.age)
        if runs:
            found[own.name] = runs
    return found
