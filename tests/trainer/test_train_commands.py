"""What train and evaluate say of data and dates that they cannot use."""

import pytest

from tiny_model import MODEL
from trainer.__main__ import main

CONFIG = '''
name = "tiny"
[data]
min_item_count = 1
''' + MODEL
ONE_EVENT_EACH = 'user,item,time\nann,7,1483271606\nbob,8,1483271607\n'
TWO_EVENTS = ONE_EVENT_EACH + 'ann,8,1483271608\n'


def _train(tmp_path, capsys, text, *options):
    (tmp_path / 'train.csv').write_text(text)
    (tmp_path / 'config.toml').write_text(CONFIG)
    assert main(['train', '--config', str(tmp_path / 'config.toml'), '--data',
                 str(tmp_path), '--out', str(tmp_path / 'out'), '--quiet',
                 *options]) == 1
    return capsys.readouterr().err


def test_users_of_one_event_each_are_told(tmp_path, capsys):
    said = _train(tmp_path, capsys, ONE_EVENT_EACH)
    assert 'none of 2 users has two events to train on' in said
    assert 'data.user = "user"' in said


def test_a_file_of_a_header_is_told(tmp_path, capsys):
    header = 'user,item,time\n'
    (tmp_path / 'later.csv').write_text(header)
    said = _train(tmp_path, capsys, header)
    assert f'{tmp_path}/train.csv: no events, only a header' in said
    said = _train(tmp_path, capsys, TWO_EVENTS, '--set',
                  'data.heldout=["later.csv"]')
    assert f'{tmp_path}/later.csv: no events, only a header' in said


@pytest.mark.parametrize('until', ['soon', '01/02/2017', '1483271606'])
def test_a_date_is_asked_for_with_examples(tmp_path, capsys, until):
    said = _train(tmp_path, capsys, TWO_EVENTS, '--until', until)
    assert f'--until "{until}" is not a date such as 2017-10-01' in said


def test_a_date_of_the_config_is_named_by_its_field(tmp_path, capsys):
    said = _train(tmp_path, capsys, TWO_EVENTS, '--set',
                  'data.validate_from=soon', '--set', 'data.test_from=later')
    assert 'data.validate_from "soon" is not a date such as' in said


def test_a_date_says_nothing_where_last_events_are_held_out(tmp_path, capsys):
    said = _train(tmp_path, capsys, TWO_EVENTS, '--set', 'data.split="last"',
                  '--until', '2017-10-01')
    assert '--until "2017-10-01": where data.split is "last", the last ' in said
