"""What runs leave behind: the latest of every section on each processor, and a
history file."""

import dataclasses
import json
import re

from bench.performance import figures


def own_folder(folder, machine):
    """Where the results of such a processor are, below FOLDER."""
    name = re.sub(r'\(.*?\)', '', machine['processor']).lower()
    return folder / re.sub('[^a-z0-9.]+', '-', name).strip('-')


def write(folder, machine, name, result):
    """Replaces a section's latest result of such a processor."""
    own = own_folder(folder, machine)
    own.mkdir(parents=True, exist_ok=True)
    path = own / f'{name}.json'
    path.write_text(json.dumps({
        'machine': machine,
        'figures': [dataclasses.asdict(figure) for figure in result.figures],
        'data': result.data}, indent=1) + '\n')
    return path


def read(folder, names):
    """{processor: {name: (machine, figures, data)}} of what was ever run."""
    found = {}
    for own in sorted(path for path in folder.iterdir() if path.is_dir()):
        for name in names:
            path = own / f'{name}.json'
            if path.exists():
                content = json.loads(path.read_text())
                sections = found.setdefault(content['machine']['processor'], {})
                sections[name] = (content['machine'],
                                  [figures.Figure(**values)
                                   for values in content['figures']],
                                  content['data'])
    return found


def append_history(folder, machine, results):
    """Adds a line to FOLDER/history.jsonl: when, of what, on what, figures."""
    values = {name: {figure.name: figure.value for figure in result.figures
                     if figure.value is not None}
              for name, result in results.items()}
    line = {key: machine[key] for key in ('date', 'commit', 'processor')}
    with (folder / 'history.jsonl').open('a') as file:
        file.write(json.dumps({**line, 'figures': values}) + '\n')
