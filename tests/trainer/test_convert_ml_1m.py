"""The MovieLens converter, on both forms of its input."""

import pytest

from trainer import convert_ml_1m

EVENTS = ('user,item,action,time\n'
          '1,30,r4,100\n1,20,r5,200\n1,10,r1,200\n2,30,r3,50\n')


def test_a_csv_keeps_its_order(tmp_path):
    # Equal times: which came first is the file's to say.
    (tmp_path / 'ratings.csv').write_text(
        'user,movie,rating,timestamp,exact\n'
        '1,30,4,100,1\n1,20,5,200,0\n1,10,1,200,0\n2,30,3,50,1\n')
    lines = convert_ml_1m.convert(tmp_path / 'ratings.csv', tmp_path)
    assert lines == {'events.csv': 4, 'items.csv': 3}
    assert (tmp_path / 'events.csv').read_text() == EVENTS
    assert (tmp_path / 'items.csv').read_text() == 'item\n10\n20\n30\n'


def test_the_original_file_is_put_in_order(tmp_path):
    (tmp_path / 'ratings.dat').write_text(
        '2::30::3::50\n1::20::5::200\n1::10::1::200\n1::30::4::100\n')
    convert_ml_1m.convert(tmp_path / 'ratings.dat', tmp_path)
    assert (tmp_path / 'events.csv').read_text() == EVENTS


def test_another_file_is_refused_by_name(tmp_path):
    (tmp_path / 'ratings.csv').write_text('user,film\n1,2\n')
    with pytest.raises(ValueError, match='ratings.csv: .*movie'):
        convert_ml_1m.convert(tmp_path / 'ratings.csv', tmp_path)
