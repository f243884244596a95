"""The trainer reads files as tests/csv_scenarios/ says, as the import does."""

import json
import pathlib
import re

import numpy as np
import pytest

from trainer import config as config_lib
from trainer import csv_events
from trainer import csv_files
from trainer import csv_rows

SCENARIOS = json.loads((pathlib.Path(__file__).parents[1] / 'csv_scenarios' /
                        'scenarios.json').read_text())


def _as_the_trainer_says(message):
    """A message of the table, with the trainer's names of options."""
    message = re.sub(r'{(time_unit|item_keys) (\w+)}', r'\1 = "\2"', message)
    return re.sub(r'{(\w+)_column}', r'data.\1', message)


def _read(path, scenario):
    features, labels = (scenario.get(kind, [])
                        for kind in ('features', 'labels'))
    config = config_lib.from_dict({
        'name': 'test',
        'data': {'time_unit': scenario.get('time_unit', 's'),
                 'item_keys': scenario.get('item_keys', 'number'),
                 'labels': {name: name for name in labels}},
        'model': {'event_features': features, 'tasks': [
            {'name': name} for name in labels or ['next']]}})
    events = []
    for part in csv_events.parts(path, config):
        columns = [np.array(texts.values, object)[texts.codes]
                   for texts in (part['users'], part['actions'])]
        columns[1:1] = [part['items'].tolist()]
        columns.append(part['times_us'].tolist())
        if features:
            columns.append(part['event_features'].tolist())
        if labels:
            columns.append([[None if np.isnan(label) else label
                             for label in row] for row in part['labels']])
        events += [list(event) for event in zip(*columns)]
    return events


def _read_on(path, scenario):
    """(events, errors [line, message]) of a file that is corrected, as by
    somebody who empties each line that is refused, until all of it is read."""
    lines = scenario['text'].encode('latin-1').split(b'\n')
    errors = []
    while True:
        path.write_bytes(b'\n'.join(lines))
        try:
            return _read(path, scenario), errors
        except ValueError as error:
            place, message = re.fullmatch(
                re.escape(str(path)) + r'(:[0-9]+)?: (.*)', str(error),
                re.DOTALL).groups()
        line = int(place[1:]) if place else 0
        errors.append([line, message])
        if line <= 1:  # The file as a whole, or its header.
            return None, errors
        lines[line - 1] = b''
        if line == len(lines):
            lines.append(b'')


@pytest.fixture(params=[None, 3, 40], ids=['', 'pieces of 3', 'of 40'])
def pieces(request, monkeypatch):
    """The same comes of a file whatever is held of it at a time."""
    if request.param:
        monkeypatch.setattr(csv_files, 'PIECE_BYTES', request.param)
        monkeypatch.setattr(csv_rows, 'PART_ROWS', request.param // 20 + 1)


@pytest.mark.usefixtures('pieces')
@pytest.mark.parametrize('scenario', SCENARIOS, ids=lambda case: case['name'])
def test_a_scenario(tmp_path, scenario):
    events, errors = _read_on(tmp_path / 'events.csv', scenario)
    assert errors == [[line, _as_the_trainer_says(message)]
                      for line, message in scenario.get('errors', [])]
    if events is not None:
        assert events == [event[:4] + event[5:]
                          for event in scenario['events']]
