"""The trainer reads files as tests/csv_scenarios/ says, as the import does."""

import json
import pathlib

import pytest

from trainer import config as config_lib
from trainer import csv_events

SCENARIOS = json.loads((pathlib.Path(__file__).parents[1] / 'csv_scenarios' /
                        'scenarios.json').read_text())


def _read(tmp_path, scenario):
    path = tmp_path / 'events.csv'
    path.write_bytes(scenario['text'].encode('latin-1'))
    config = config_lib.from_dict({'name': 'test', 'data': {
        'time_unit': scenario.get('time_unit', 's')}})
    return csv_events.read(path, config)


@pytest.mark.parametrize('scenario', SCENARIOS, ids=lambda case: case['name'])
def test_a_scenario(tmp_path, scenario):
    if 'errors' not in scenario:
        events = _read(tmp_path, scenario)
        columns = [list(events[name])
                   for name in ('user', 'item', 'action', 'time_us')]
        assert [list(row) for row in zip(*columns)] == [
            event[:-1] for event in scenario['events']]
        return
    with pytest.raises(ValueError) as raised:
        _read(tmp_path, scenario)
    message = str(raised.value)
    assert any(message.startswith(f'{tmp_path}/events.csv' +
                                  (f':{line}: ' if line else ': '))
               and says in message for line, says in scenario['errors']), (
                   message)
