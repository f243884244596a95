"""What runs leave behind: the latest of every section, and a history file."""

import dataclasses
import json

from bench.performance import figures


def write(folder, machine, name, result):
    """Replaces a section's latest result, FOLDER/NAME.json."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{name}.json'
    path.write_text(json.dumps({
        'machine': machine,
        'figures': [dataclasses.asdict(figure) for figure in result.figures],
        'data': result.data}, indent=1) + '\n')
    return path


def read(folder, names):
    """{name: (machine, figures, data)} of the sections that were ever run."""
    found = {}
    for name in names:
        path = folder / f'{name}.json'
        if path.exists():
            content = json.loads(path.read_text())
            found[name] = (content['machine'],
                           [figures.Figure(**own)
                            for own in content['figures']], content['data'])
    return found


def append_history(folder, machine, results):
    """Adds a line to FOLDER/history.jsonl: when, of what, on what, figures."""
    values = {name: {figure.name: figure.value for figure in result.figures
                     if figure.value is not None}
              for name, result in results.items()}
    line = {key: machine[key] for key in ('date', 'commit', 'processor')}
    with (folder / 'history.jsonl').open('a') as file:
        file.write(json.dumps({**line, 'figures': values}) + '\n')
