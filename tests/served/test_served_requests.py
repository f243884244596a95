"""What a request log gives to training is what was served.

A real server logs requests with everything that a model may be told; the
trainer's file of them has the same bits, and the trainer scores each candidate
as the server did, from the events up to the sequence that its state had.
"""

import dataclasses
import time

import grpc
import numpy as np
import pytest
from google.protobuf import json_format

from bench import local_server
from bench.caller import Caller
from test_features import GOLDEN
from trainer import click_evaluation
from trainer import config as config_lib
from trainer import contexts
from trainer import convert_request_log
from trainer import dataset
from trainer import export
from trainer import fingerprint
from trainer import request_log

pa = pytest.importorskip('pyarrow')

NAME = 'all_l4_decay_conv_everything'
USERS, ROUNDS, CANDIDATES = 15, 20, 12
START_S = 1_700_000_000
WITHIN_S = 3600
WRITTEN = 'qlarank_request_log_records_total{result="written"}'
# Between two float32 computations of different sums.
TOLERANCE = 1e-4


def _float32s(rng, shape):
    """Values with all 24 bits of theirs in use, 0 and -0 among them."""
    values = rng.normal(size=shape).astype(np.float32)
    values[rng.random(shape) < .1] = -0.
    values[rng.random(shape) < .1] = np.float32(1e-40)  # Denormal.
    return values


class Traffic:
    """Events and requests in turn, sent and kept as they were sent."""

    def __init__(self, call, bundle, rng):
        self._call, self._bundle, self._rng = call, bundle, rng
        self.events = []  # (user, item, action, time in us, features)
        self.requests = []
        self.time_us = START_S * 1_000_000
        self._counts = {}

    def _item(self):
        # Some are not in the catalogue.
        return int(self._rng.choice(self._bundle.tensors['item_ids'])
                   if self._rng.random() < .9 else self._rng.integers(1 << 40))

    def _event(self, user, item=None):
        self.time_us += int(self._rng.integers(1, 200_000_000))
        return (user, item or self._item(),
                str(self._rng.choice(self._bundle.hyper.actions)),
                self.time_us, _float32s(self._rng, 3))

    @staticmethod
    def _message(event):
        _, item, action, time_us, features = event
        return {'item_id': item, 'action': action, 'features':
                features.tolist(), 'time': _time(time_us)}

    def append(self, user, item=None):
        event = self._event(user, item)
        self._counts[user] = self._counts.get(user, 0) + 1
        self._call('IngestService', 'AppendEvents', {
            'source': 'test', 'events': [
                {'user_id': user, 'sequence': self._counts[user],
                 'event': self._message(event)}]})
        self.events.append(event)

    def rank(self, user):
        recent = [self._event(user) for _ in range(self._rng.integers(3))]
        self.time_us += int(self._rng.integers(1, 10_000_000))
        request = {
            'user_id': user, 'request_id': f'r{len(self.requests)}',
            'item_ids': [self._item() for _ in range(CANDIDATES)],
            'request_time': _time(self.time_us),
            'min_event_count': self._counts.get(user, 0),
            'context': {} if self._rng.random() < .3 else {
                'daypart': str(self._rng.choice(['noon', 'night', 'fog']))},
            'candidate_features':
                _float32s(self._rng, 3 * CANDIDATES).tolist(),
            'recent_events': list(map(self._message, recent)),
            'top_k': 5 if self._rng.random() < .5 else 0}
        reply = self._call('RankService', 'Rank', request)
        self.requests.append((self.time_us, request, reply))


def _time(time_us):
    from google.protobuf import timestamp_pb2
    seconds, us = divmod(time_us, 1_000_000)
    return json_format.MessageToDict(timestamp_pb2.Timestamp(
        seconds=seconds, nanos=1000 * us))


@pytest.fixture(scope='module')
def bundle():
    return export.read(GOLDEN / NAME / 'bundle')


@pytest.fixture(scope='module')
def log(tmp_path_factory):
    return tmp_path_factory.mktemp('log')


@pytest.fixture(scope='module')
def traffic(programs, bundle, log, tmp_path_factory):
    """Traffic that was served, with its log in a folder."""
    rng = np.random.default_rng(7)
    with local_server.LocalServer(
            programs, GOLDEN / NAME / 'bundle', NAME, 1,
            tmp_path_factory.mktemp('server'),
            request_log=f'path: "{log}" sample: 1 '
            'max_file_bytes: 100000 max_bytes: 100000000'
            ) as server, grpc.insecure_channel(server.address) as channel:
        traffic = Traffic(Caller(channel), bundle, rng)
        for _ in range(ROUNDS):
            for user in rng.permutation(USERS):
                for _ in range(rng.integers(3)):
                    traffic.append(f'u{user}')
                traffic.rank(f'u{user}')
                if rng.random() < .5:
                    # One that was asked about, soon or late.
                    asked = traffic.requests[-1][1]['item_ids']
                    traffic.append(f'u{user}', int(rng.choice(asked)))
        traffic.time_us += 2 * WITHIN_S * 1_000_000
        traffic.append('the last')
    return traffic


@pytest.fixture(scope='module')
def config(bundle):
    return config_lib.Config(
        NAME, 1, '', config_lib.Data(
            train=(convert_request_log.NAME,), min_item_count=1,
            labels={task.name: f'did {task.name}'
                    for task in bundle.hyper.tasks}),
        bundle.hyper, config_lib.Training())


@pytest.fixture(scope='module')
def converted(traffic, config, log, tmp_path_factory):
    """The folder with the file to train on, and what the conversion said."""
    folder = tmp_path_factory.mktemp('data')
    users, items, actions, times_us, features = zip(*traffic.events)
    from pyarrow import parquet
    parquet.write_table(pa.table({
        'user': list(users), 'item': pa.array(items, pa.uint64()),
        'action': list(actions),
        'time': pa.array(times_us, pa.timestamp('us')),
        **dict(zip(config.model.event_features, np.array(features).T))}),
        folder / 'events.parquet')
    return folder, convert_request_log.convert(
        log, [folder / 'events.parquet'], config,
        {'did click': ('view',), 'did like': (), 'did share': ('buy', 'skip')},
        WITHIN_S, folder, only_shown=False)


def test_the_log_has_every_request_as_it_was_asked_and_answered(
        traffic, bundle, log):
    assert len(traffic.requests) == USERS * ROUNDS
    records = list(request_log.read(log))
    assert len(records) == len(traffic.requests)
    assert len(request_log.files(log)) > 1
    for record, (time_us, request, reply) in zip(records, traffic.requests):
        wanted = json_format.ParseDict(request, type(record.request)())
        assert record.request.SerializeToString(deterministic=True) == \
            wanted.SerializeToString(deterministic=True)
        assert record.response.SerializeToString(deterministic=True) == \
            reply.SerializeToString(deterministic=True)
        assert record.request_time_us == time_us
        assert record.arrival_us > time_us
        assert record.fingerprint == fingerprint.fingerprint(
            bundle.hyper, bundle.tensors)
        assert record.candidate_features == list(
            bundle.hyper.candidate_features)
        assert (record.incarnation > 0) == reply.state.found
        np.testing.assert_array_equal(
            np.array(record.recent_features, np.float32),
            np.array([value for event in request['recent_events']
                      for value in event['features']], np.float32))
        assert record.value_weights == [1, 2.5, .5]


def test_what_is_trained_on_has_the_bits_that_were_served(
        traffic, converted, config):
    folder, counts = converted
    assert counts['requests'] == len(traffic.requests)
    data = dataset.read(config, folder)
    daypart, = config.model.context_features
    by_user = {user: slice(*data.offsets[at:at + 2])
               for at, user in enumerate(data.users)}
    for number, (time_us, request, _) in enumerate(traffic.requests, 1):
        events = by_user[f'{request["user_id"]}#{number}']
        asked = slice(events.stop - CANDIDATES, events.stop)
        assert (data.times_us[asked] == time_us).all()
        assert data.items[asked].tolist() == request['item_ids']
        _same_bits(data.candidate_features[asked],
                   request['candidate_features'])
        assert (data.context_rows[asked] == contexts.rows(
            daypart, [request['context'].get('daypart', '')])).all()
        known = [event for event in traffic.events
                 if event[0] == request['user_id'] and event[3] < time_us]
        known = known[:request['min_event_count']]
        recent = request['recent_events']
        history = slice(events.start, asked.start)
        assert data.items[history].tolist() == [
            event[1] for event in known] + [
                event['item_id'] for event in recent]
        _same_bits(data.event_features[history],
                   [event[4] for event in known] + [
                       event['features'] for event in recent])
        labels = data.labels[asked]
        for task, actions in enumerate(((('view',)), ('view', 'buy', 'skip'),
                                        ('buy', 'skip'))):
            assert labels[:, task].tolist() == [
                any(event[0] == request['user_id'] and event[1] == item and
                    event[2] in actions and
                    0 <= event[3] - time_us <= WITHIN_S * 1_000_000
                    for event in traffic.events)
                for item in request['item_ids']]
        assert np.isnan(data.labels[history]).all()
    assert np.nansum(data.labels[:, 1]) > 50


def _same_bits(found, sent):
    sent = np.array(sent, np.float32).reshape(found.shape)
    assert found.dtype == np.float32
    assert found.tobytes() == sent.tobytes()


def test_the_trainer_scores_each_candidate_as_it_was_served(
        traffic, converted, config, bundle):
    data = dataset.read(config, converted[0])
    data = dataclasses.replace(data, rows=bundle.rows(
        data.items).numpy())
    asked = ~np.isnan(data.labels).all(1)
    found, scores, _ = click_evaluation.Evaluation(data, asked).each(
        config.model, bundle.params())
    served = {}
    for number, (_, request, reply) in enumerate(traffic.requests, 1):
        served[f'{request["user_id"]}#{number}'] = np.array(
            reply.scores, np.float32).reshape(CANDIDATES, -1)
    of_event = data.offsets.searchsorted(found, side='right') - 1
    wanted = np.concatenate([served[data.users[user]] for user in
                             dict.fromkeys(of_event.tolist())])
    assert len(found) == len(traffic.requests) * CANDIDATES
    assert np.abs(scores - wanted).max() < TOLERANCE
    # Scores say something.
    assert np.abs(np.diff(wanted, axis=0)).mean() > 100 * TOLERANCE


def test_a_request_whose_time_is_not_up_is_left_out(
        traffic, converted, config, log, tmp_path):
    counts = convert_request_log.convert(
        log, [converted[0] / 'events.parquet'], config,
        {f'did {task}': () for task in ('click', 'like', 'share')},
        100 * WITHIN_S, tmp_path)
    until_us = traffic.time_us - 100 * WITHIN_S * 1_000_000
    later = sum(time_us > until_us for time_us, _, _ in traffic.requests)
    assert later > 10
    assert counts['left out: the files end before its time is up'] == later
    assert counts['requests'] == len(traffic.requests) - later


def test_a_server_that_is_killed_leaves_what_it_wrote(programs, bundle,
                                                     tmp_path):
    folder = tmp_path / 'log'

    def served():
        return local_server.LocalServer(
            programs, GOLDEN / NAME / 'bundle', NAME, 1, tmp_path,
            request_log=f'path: "{folder}" sample: 1')
    with served() as server:
        with grpc.insecure_channel(server.address) as channel:
            traffic = Traffic(Caller(channel), bundle,
                              np.random.default_rng(1))
            for _ in range(20):
                traffic.rank('u1')
        while server.metric(WRITTEN) < 20:
            time.sleep(.01)
        server.process.kill()
        server.process.wait()
    part, = folder.glob('*.pb.part')
    part.write_bytes(part.read_bytes()[:-1])  # As if in the midst of one.
    left = [record.request.request_id for record in request_log.read(folder)]
    assert left == [f'r{number}' for number in range(19)]
    with served():
        assert [path.name for path in request_log.files(folder)] == [
            part.name.removesuffix('.part')]
        assert [record.request.request_id
                for record in request_log.read(folder)] == left
