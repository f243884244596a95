"""The grocery converter, on a tiny parquet pair."""

import pytest

from trainer import convert

pd = pytest.importorskip('pandas')
pytest.importorskip('pyarrow')


def test_baskets_stay_together_in_time_order(tmp_path):
    pd.DataFrame({
        'household_id': [2, 1, 2, 1], 'basket_id': [20, 10, 20, 11],
        'product_id': [8, 7, 5, 7],
        'transaction_timestamp': pd.to_datetime(
            ['2017-01-02 10:00:05', '2017-01-01 09:00:00',
             '2017-01-02 10:00:05', '2017-11-01 00:00:00'])
    }).to_parquet(tmp_path / 't.parquet')
    pd.DataFrame({
        'product_id': [5, 7, 8, 9],
        'manufacturer_id': ['69', '2', '69', '5'],
        'department': ['GROCERY', 'DELI', 'GROCERY', 'MISC'],
        'brand': ['Private', 'National', 'National', None],
        'product_category': ['COLD CEREAL', 'CHEESE', 'BAG SNACKS', 'X'],
        'product_type': ['KIDS CEREAL', None, 'POTATO CHIPS', 'Y'],
        'package_size': ['14.5 OZ', None, ' ', '1 LB'],
    }).to_parquet(tmp_path / 'p.parquet')
    lines = convert.convert(tmp_path / 't.parquet', tmp_path / 'p.parquet',
                            tmp_path)
    assert lines == {'train.csv': 3, 'heldout.csv': 1, 'items.csv': 3,
                     'titles.tsv': 3}
    assert (tmp_path / 'items.csv').read_text() == (
        'item,manufacturer,department,brand,category,type,size\n'
        '5,69,GROCERY,Private,COLD CEREAL,KIDS CEREAL,14.5 OZ\n'
        '7,2,DELI,National,CHEESE,,\n'
        '8,69,GROCERY,National,BAG SNACKS,POTATO CHIPS, \n')
    assert (tmp_path / 'train.csv').read_text() == (
        'user,item,action,time\n1,7,purchase,1483261200\n'
        '2,5,purchase,1483351205\n2,8,purchase,1483351205\n')
    assert (tmp_path / 'heldout.csv').read_text() == (
        'user,item,action,time\n1,7,purchase,1509494400\n')
    assert (tmp_path / 'titles.tsv').read_text() == (
        '5\tKids Cereal, 14.5 oz (store brand)\n7\tCheese\n8\tPotato Chips\n')


def test_titles_are_readable():
    assert convert.title('National', None, 'CANDY BARS (SINGLES)(INCLUDING',
                         '3.22 OZ') == 'Candy Bars (Singles), 3.22 oz'
    assert convert.title('Private', 'A', 'WAFFLES/PANCAKES/FRENCH TOAST',
                         '19.8 OZ') == (
        'Waffles / Pancakes / French Toast, 19.8 oz (store brand)')
    assert convert.title(None, None, None, None) == 'Unnamed product'
