"""The trainer reads a server's request log and joins what followed.

That it has the bits which a server was sent is shown in
tests/served/test_served_requests.py.
"""

import pathlib
import random
import shutil
import subprocess

import numpy as np
import pytest
import xxhash
from google.protobuf import descriptor_pb2

from trainer import __main__ as trainer_main
from trainer import config as config_lib
from trainer import dataset
from trainer import request_log

pytest.importorskip('pyarrow')

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = '''
name = "tiny"
[data]
train = ["requests.parquet"]
min_item_count = 1
labels = { click = "clicked", any = "taken" }
validate_from = "1970-01-01T00:40"
test_from = "1970-01-01T01:30"
[model]
d_model = 8
num_heads = 1
num_layers = 1
ffn_width = 8
conv_width = 1
head_width = 8
initial_half_lives = [2.0]
actions = ["view", "click"]
event_features = ["watched"]
candidate_features = ["price"]
context_features = [{ name = "device", values = ["tv", "phone"] }]
tasks = [{ name = "click", dot_term = false },
         { name = "any", dot_term = false }]
[training]
steps = 2
'''
EVENTS = '''user,item,action,time,watched
ann,1,view,1000,.5
ann,2,click,2000,.25
ann,3,click,3000,0
bob,1,view,3100,1
ann,4,view,6599,1
ann,5,view,6601,1
bob,1,click,9000,1
'''


def _record(user='ann', folded=2, newest_s=2000, time_s=3000, items=(3, 4, 5),
            **request):
    record = request_log.LoggedRequest(
        arrival_us=time_s * 1_000_000 + 5, request_time_us=time_s * 1_000_000,
        candidate_features=['stock', 'price'], event_features=['watched'])
    record.request.user_id = user
    record.request.item_ids.extend(items)
    for item in items:
        record.request.candidate_features.extend([0, item / 8])
    for name, value in request.get('context', {}).items():
        record.request.context[name] = value
    response = record.response
    response.tasks.extend(['click', 'any'])
    response.scores.extend(range(2 * len(items)))
    response.state.folded_sequence = folded
    response.state.last_event_time.seconds = newest_s
    return record


def _frame(record):
    data = record.SerializeToString()
    length, value = b'', len(data)
    while value >= 0x80:
        length, value = length + bytes([value & 0x7f | 0x80]), value >> 7
    return length + bytes([value]) + data + xxhash.xxh64_intdigest(
        data).to_bytes(8, 'little')


def _write(folder, records, name='requests-20260101T000000Z-000001.pb'):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b''.join(map(_frame, records)))


def _convert(folder, records, *arguments, config=CONFIG, events=EVENTS):
    """The Dataset of what the command wrote, and the Config."""
    _write(folder / 'log', records)
    (folder / 'events.csv').write_text(events)
    (folder / 'tiny.toml').write_text(config)
    status = trainer_main.main([
        'convert-request-log', '--log', str(folder / 'log'), '--events',
        str(folder / 'events.csv'), '--config', str(folder / 'tiny.toml'),
        '--label', 'clicked=click', '--label', 'taken=', '--out', str(folder),
        *arguments])
    assert status == 0
    loaded = config_lib.load(folder / 'tiny.toml')
    return dataset.read(loaded, folder), loaded


def _of(data, user):
    return slice(*data.offsets[list(data.users).index(user):][:2])


@pytest.mark.skipif(not shutil.which('protoc'), reason='protoc is absent')
def test_the_descriptor_set_is_that_of_the_proto_files(tmp_path):
    made = tmp_path / 'made.binpb'
    subprocess.run(
        ['protoc', f'--proto_path={ROOT / "proto"}', '--include_imports',
         f'--descriptor_set_out={made}', 'qlarank/v1/request_log.proto'],
        check=True)

    def described(data):
        return descriptor_pb2.FileDescriptorSet.FromString(data)
    assert described(made.read_bytes()) == described(
        request_log.FILE.read_bytes()), request_log.__doc__


def test_a_request_is_a_user_with_its_history_and_then_its_candidates(
        tmp_path):
    data, _ = _convert(tmp_path, [
        _record(context={'device': 'phone', 'town': 'x'}),
        _record('bob', 0, 0, 3050, (1, 2))])
    assert list(data.users) == ['ann#1', 'bob#2']
    ann, bob = _of(data, 'ann#1'), _of(data, 'bob#2')
    assert data.items[ann].tolist() == [1, 2, 3, 4, 5]
    assert data.times_us[ann].tolist() == [
        1_000_000_000, 2_000_000_000, *3 * [3_000_000_000]]
    assert data.action_names[data.actions[ann][:2]].tolist() == [
        'view', 'click']
    assert data.event_features[ann][:, 0].tolist() == [.5, .25, 0, 0, 0]
    assert data.candidate_features[ann][2:, 0].tolist() == [3/8, 4/8, 5/8]
    assert data.context_rows[ann][:, 0].tolist() == [0, 0, 2, 2, 2]
    assert np.isnan(data.labels[ann][:2]).all()
    # At the moment, just within the hour, just after it.
    assert data.labels[ann][2:].tolist() == [[1, 1], [0, 1], [0, 0]]
    assert data.items[bob].tolist() == [1, 2]
    assert data.labels[bob].tolist() == [[0, 1], [0, 0]]


def test_within_says_how_long_is_waited(tmp_path):
    data, _ = _convert(tmp_path, [_record()], '--within', '3601')
    assert data.labels[2:].tolist() == [[1, 1], [0, 1], [0, 1]]


def test_recent_events_come_behind_the_history(tmp_path):
    record = _record()
    recent = record.request.recent_events.add(item_id=9, action='click')
    recent.time.seconds = 2500
    record.recent_features.append(.125)
    data, _ = _convert(tmp_path, [record])
    assert data.items.tolist() == [1, 2, 9, 3, 4, 5]
    assert data.event_features[2, 0] == .125
    assert data.action_names[data.actions[2]] == 'click'


def test_a_feature_of_both_is_one_column(tmp_path):
    """An event's before the request, the candidate's in it."""
    record = _record()
    record.event_features[0] = 'price'
    data, _ = _convert(tmp_path, [record],
                       config=CONFIG.replace('"watched"', '"price"'),
                       events=EVENTS.replace('watched', 'price'))
    assert data.event_features[:2, 0].tolist() == [.5, .25]
    assert data.candidate_features[2:, 0].tolist() == [3 / 8, 4 / 8, 5 / 8]


def test_a_recent_event_without_an_action_has_the_default_one(tmp_path):
    record = _record()
    record.default_action = 'click'
    record.request.recent_events.add(item_id=9).time.seconds = 2500
    record.recent_features.append(.125)
    data, _ = _convert(tmp_path, [record])
    assert data.action_names[data.actions[2]] == 'click'


def test_only_what_was_shown_and_scored_is_a_candidate(tmp_path):
    ordered = _record()
    ordered.response.order.extend([2, 0])
    partial = _record()
    partial.response.scores[2:4] = [float('nan')] * 2
    data, _ = _convert(tmp_path, [ordered, partial])
    assert data.items[_of(data, 'ann#1')].tolist() == [1, 2, 3, 5]
    assert data.items[_of(data, 'ann#2')].tolist() == [1, 2, 3, 5]
    data, _ = _convert(tmp_path, [ordered, partial], '--all-candidates')
    assert data.items[_of(data, 'ann#1')].tolist() == [1, 2, 3, 4, 5]
    assert data.items[_of(data, 'ann#2')].tolist() == [1, 2, 3, 5]


def test_what_cannot_be_joined_is_left_out_and_counted(tmp_path, capsys):
    other_model = _record()
    other_model.candidate_features[1] = 'weight'
    _convert(tmp_path, [
        _record(), _record(folded=6), _record(newest_s=1999),
        _record(folded=3, newest_s=3000), _record(time_s=5401), other_model])
    printed = capsys.readouterr().out
    assert 'requests: 1\n' in printed
    for reason in ('the files lack events that its state had',
                   'its state had other events',
                   'its time is not after its history',
                   'the files end before its time is up',
                   'its model had no such feature'):
        assert f'left out: {reason}: 1\n' in printed


def test_more_of_a_request_is_in_columns_that_training_ignores(tmp_path):
    from pyarrow import parquet
    record = _record()
    record.response.order.extend([2, 0])
    _convert(tmp_path, [record], '--all-candidates')
    table = parquet.read_table(tmp_path / 'requests.parquet').to_pydict()
    assert table['request'] == [1] * 5
    assert table['shown'] == [None, None, 1, None, 0]
    assert table['logit_click'] == [None, None, 0, 2, 4]
    assert table['logit_any'] == [None, None, 1, 3, 5]


@pytest.mark.parametrize('old, new, message', [
    ('"taken" }', '"taken" }\nitem_keys = "text"', 'data.item_keys is "text"'),
    ('"taken" }', '"taken" }\nequal_times = "order"', 'data.equal_times'),
    ('"taken"', '"bought"', "any is column 'bought', of which no --label"),
    ('"price"', '"shown"', "two columns would be called 'shown'")])
def test_what_is_wrong_is_named(tmp_path, capsys, old, new, message):
    with pytest.raises(AssertionError):
        _convert(tmp_path, [_record()], config=CONFIG.replace(old, new))
    assert message in capsys.readouterr().err


def test_a_label_is_a_column_and_actions(tmp_path, capsys):
    with pytest.raises(AssertionError):
        _convert(tmp_path, [_record()], '--label', 'clicked=view')
    assert "--label 'clicked=view'" in capsys.readouterr().err


def test_a_folder_without_a_log_is_named(tmp_path):
    with pytest.raises(ValueError, match='no requests-'):
        list(request_log.read(tmp_path))


def test_files_are_read_in_order_and_a_part_to_its_last_whole_record(
        tmp_path):
    for number, name in ((10, '000010.pb.part'), (2, '000002.pb')):
        _write(tmp_path, [_record(f'u{number}'), _record(f'v{number}')],
               f'requests-20260101T000000Z-{name}')
    (tmp_path / 'requests-20260101T000000Z-000011.pb.new').write_bytes(b'x')
    part = tmp_path / 'requests-20260101T000000Z-000010.pb.part'
    part.write_bytes(part.read_bytes()[:-1])
    assert [record.request.user_id for record in request_log.read(tmp_path)
            ] == ['u2', 'v2', 'u10']


def test_damage_ends_a_file_and_never_changes_a_record(tmp_path):
    """Any cut, any bit, any bytes: what is read is a beginning of what was
    written."""
    records = [_record(f'u{at}', items=range(at)) for at in range(4)]
    whole = b''.join(map(_frame, records))
    written = [record.SerializeToString() for record in records]
    path = tmp_path / 'requests-20260101T000000Z-000001.pb'
    chance = random.Random(1)
    for _ in range(500):
        data = bytearray(whole[:chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(3)):
            if data:
                at = chance.randrange(len(data))
                data[at] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        found = list(request_log.frames(path))
        assert found == written[:len(found)]
    path.write_bytes(whole)
    assert list(request_log.frames(path)) == written
    path.write_bytes(bytes(chance.randrange(256) for _ in range(1000)))
    assert not list(request_log.frames(path))


def test_a_model_is_trained_on_it(tmp_path, capsys):
    _convert(tmp_path, [_record(), _record('bob', 0, 0, 2000, (1, 2)),
                        _record('bob', 1, 3100, 5000, (1, 2))])
    assert trainer_main.main([
        'train', '--config', str(tmp_path / 'tiny.toml'), '--data',
        str(tmp_path), '--out', str(tmp_path / 'run'), '--quiet']) == 0, (
            capsys.readouterr().err)
    assert (tmp_path / 'run/model.npz').exists()
