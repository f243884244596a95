"""Train, evaluate, baselines and table on a file of clicks, as one would."""

import json

import numpy as np
import pytest

from tiny_model import MODEL
from trainer.__main__ import main

CONFIG = """
name = "clicks"
[data]
train = ["events.csv"]
validate_from = "1970-01-01T02:00"
test_from = "1970-01-01T03:00"
min_item_count = 1
labels = { click = "click" }
""" + MODEL + """actions = ["no", "yes"]
context_features = [{ name = "tab", values = ["a", "b"] }]
tasks = [{ name = "click", dot_term = false }]
[training]
epochs = 2
"""


@pytest.fixture(name='folder')
def _folder(tmp_path):
    rng = np.random.default_rng(2)
    lines = ['user,item,action,time,tab,click']
    for user in range(20):
        for time in range(0, 4 * 3_600, 1_200):
            click = rng.integers(2)
            lines.append(f'{user},{rng.integers(6)},{("no", "yes")[click]},'
                         f'{time},{"ab"[rng.integers(2)]},{click}')
    (tmp_path / 'events.csv').write_text('\n'.join(lines) + '\n')
    (tmp_path / 'config.toml').write_text(CONFIG)
    return tmp_path


def test_clicks_from_file_to_table(folder, capsys):
    common = ['--config', str(folder / 'config.toml'), '--data', str(folder)]
    out = folder / 'runs'
    assert main(['train', *common, '--device', 'cpu', '--quiet', '--test',
                 '--out', str(out / 'qla' / '1')]) == 0
    found = json.loads((out / 'qla' / '1' / 'metrics.json').read_text())
    # Twelve events a user, every 20 minutes, in four hours.
    assert found['metrics']['click']['labels'] == 20 * 3
    assert found['test']['click']['labels'] == 20 * 3
    assert found['test']['users'] == 20
    assert found['parameters'] > 0 and found['seconds'] >= 0
    capsys.readouterr()
    assert main(['evaluate', '--model', str(out / 'qla' / '1' / 'model.npz'),
                 '--data', str(folder), '--device', 'cpu', '--json']) == 0
    again = json.loads(capsys.readouterr().out)
    assert again['click']['auc'] == pytest.approx(found['test']['click']['auc'])
    assert main(['click-baselines', *common, '--context', 'tab', '--out',
                 str(out)]) == 0
    capsys.readouterr()
    counted = json.loads((out / 'popularity/0/metrics.json').read_text())
    assert counted['provenance']['counted']
    assert counted['provenance']['seed'] == 0
    assert main(['table', '--runs', str(out), '--part', 'test', '--columns',
                 'click.auc,click.ne', '--order',
                 'popularity,popularity by tab,qla']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert f'| qla | {found["test"]["click"]["auc"]:.4f} |' in lines[4]


def test_until_is_refused_where_the_file_is_cut(folder, capsys):
    assert main(['train', '--config', str(folder / 'config.toml'), '--data',
                 str(folder), '--until', '1970-01-02', '--out',
                 str(folder)]) == 1
    assert 'validate_from' in capsys.readouterr().err
