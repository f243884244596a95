"""What was imported is exported: the trainer reads the same events of both."""

import csv
import pathlib
import random

import numpy as np
import pytest

from bench import local_server
from trainer import config as config_lib
from trainer import dataset

NAME = 'all_l4_decay_conv_everything'
BUNDLE = pathlib.Path(__file__).resolve().parents[1] / 'golden' / NAME / 'bundle'
ACTIONS = ('view', 'buy', 'skip')
FEATURES = ('price', 'rating', 'dwell')
EVENT_FIELDS = ('items', 'actions', 'times_us', 'event_features')


def _write_events(path):
    """Events of users with odd names, each in order of time; some of a user at
    the same time, and times and features with as many digits as there are."""
    rng = random.Random(7)
    users = [f'user{n}' for n in range(40)] + ['Jé', 'a,"b"', ' x ', '用户']
    rows, time_us = [], 1_600_000_000_000_000
    for _ in range(4_000):
        time_us += rng.choice((0, 1, 1_000_000, 12_345_678))
        rows.append([
            rng.choice(users), rng.choice((rng.getrandbits(64), 7)),
            rng.choice(ACTIONS), f'{time_us // 1_000_000}.'
            f'{time_us % 1_000_000:06d}', rng.random() * 1e-9,
            np.float32(rng.gauss(0, 1e6)), rng.randrange(5)])
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(('user', 'item', 'action', 'time', *FEATURES))
        writer.writerows(rows)


def _prepared(folder, events):
    """{user: {field: the bytes of their events}}, and all users and items."""
    config = config_lib.from_dict({
        'name': 'test', 'data': {'train': [events], 'min_item_count': 1,
                                 'equal_times': 'order'},
        'model': {'actions': list(ACTIONS), 'event_features': list(FEATURES)}})
    data = dataset.prepare(config, folder, folder / f'{events}.data')
    users = {user: {field: np.asarray(
        getattr(data, field)[begin:end]).tobytes() for field in EVENT_FIELDS}
             for user, begin, end in zip(data.users, data.offsets,
                                         data.offsets[1:])}
    return users, sorted(data.item_ids.tolist())


@pytest.fixture(name='server')
def _server(programs, tmp_path):
    (tmp_path / 'server').mkdir()
    with local_server.LocalServer(programs, BUNDLE, NAME, 1,
                                  tmp_path / 'server') as server:
        yield server


def test_the_trainer_reads_the_same_of_an_export(server, tmp_path, run_trainer):
    _write_events(tmp_path / 'events.csv')
    server.cli('import', tmp_path / 'events.csv', '--feature-columns',
               ','.join(FEATURES))
    server.cli('export', 'events', '--out', tmp_path / 'exported.csv.gz')
    run_trainer('convert-export', '--events', tmp_path / 'exported.csv.gz',
                '--out', tmp_path / 'exported.parquet')
    wanted = _prepared(tmp_path, 'events.csv')
    assert len(wanted[0]) == 44
    assert _prepared(tmp_path, 'exported.csv.gz') == wanted
    assert _prepared(tmp_path, 'exported.parquet') == wanted
