"""Models with tasks that have labels and tasks that have none are measured by
both: rankings, and AUC and NE."""

import json
import math

import numpy as np
import pytest

from tiny_model import MODEL
import torch

from trainer import checkpoint
from trainer import config as config_lib
from trainer import dataset
from trainer import reference
from trainer.__main__ import main

CONFIG = """
name = "mixed"
[data]
train = ["train.csv"]
min_item_count = 1
labels = {{ like = "liked" }}
{data}
""" + MODEL + """actions = ["buy"]
tasks = [{{ name = "next" }}, {{ name = "like", dot_term = false }}]
[training]
epochs = 2
learning_rate = 1e-2
negatives = 8
"""
CUT_S = 12_000


def _write(folder, data, cut_file):
    rng = np.random.default_rng(7)
    lines = {'train': [], 'later': []}
    for user in range(25):
        for time in range(0, 16_000, 1_000):
            for item in rng.choice(20, rng.integers(1, 3), replace=False):
                later = cut_file and time >= CUT_S
                liked = rng.choice(['0', '1', ''])
                lines['later' if later else 'train'].append(
                    f'{user},{item},buy,{time + user},{liked}\n')
    for name, rows in lines.items():
        (folder / f'{name}.csv').write_text('user,item,action,time,liked\n' +
                                            ''.join(rows))
    (folder / 'config.toml').write_text(CONFIG.format(data=data))


def _train(folder, *more):
    out = folder / 'run'
    assert main(['train', '--config', str(folder / 'config.toml'), '--data',
                 str(folder), '--device', 'cpu', '--quiet', '--out', str(out),
                 *more]) == 0
    return out, json.loads((out / 'metrics.json').read_text())


def _by_hand(folder, out, is_held_out):
    """(AUC, NE, labels) of "like" by the event-by-event form of the model."""
    config, tensors, _ = checkpoint.load(out / 'model.npz')
    data = dataset.read(config, folder)
    params = {name: torch.from_numpy(array) for name, array in tensors.items()
              if name != 'item_ids'}
    labels, logits = [], []
    for begin, end in zip(data.offsets[:-1], data.offsets[1:]):
        for event in range(begin, end):
            label = float(data.labels[event, 1])
            if not is_held_out(data, event, end) or math.isnan(label):
                continue
            state = reference.empty_state(config.model, torch.float32)
            for index in range(begin, event):
                if data.ordered or data.times_us[index] < data.times_us[event]:
                    state = reference.append(
                        config.model, params, state, reference.Event(
                            int(data.rows[index]), int(data.actions[index]),
                            int(data.times_us[index]), ()))
            scores, _ = reference.rank(
                config.model, params, state, int(data.times_us[event]),
                torch.tensor([int(data.rows[event])]))
            labels.append(label)
            logits.append(float(scores[0, 1]))
    pairs = [(one > other) + .5 * (one == other)
             for one, is_one in zip(logits, labels) if is_one
             for other, is_other in zip(logits, labels) if not is_other]
    loss = np.mean([math.log(1 + math.exp(-logit if label else logit))
                    for logit, label in zip(logits, labels)])
    rate = np.mean(labels)
    entropy = -rate * math.log(rate) - (1 - rate) * math.log(1 - rate)
    return np.mean(pairs), loss / entropy, len(labels)


def _is_late(data, event, end):
    return data.times_us[event] >= CUT_S * 1_000_000


def _is_last(data, event, end):
    return event == end - 1


@pytest.mark.parametrize('data, is_held_out', [
    ('heldout = ["later.csv"]', _is_late),
    ('split = "last"\nequal_times = "order"', _is_last)],
    ids=['cut', 'last'])
def test_a_mixed_model_is_measured_by_both(tmp_path, capsys, data, is_held_out):
    _write(tmp_path, data, cut_file='heldout' in data)
    out, found = _train(tmp_path, '--test')
    printed = capsys.readouterr().out
    metrics = found['test']
    assert 0 < metrics['model, all terms']['hit@10'] < 1
    assert 'popularity' in metrics and metrics['users'] == 25
    like = metrics['like']
    auc, ne, labels = _by_hand(tmp_path, out, is_held_out)
    assert like['labels'] == labels > 10
    assert like['auc'] == pytest.approx(auc, abs=1e-4)
    assert like['ne'] == pytest.approx(ne, abs=1e-3)
    # On the line of progress and in the closing report.
    like = found['metrics']['like']
    assert like['labels'] != labels
    figures = f'{like["auc"]:.4f} {like["ne"]:.4f}'.replace('0.', '.')
    assert f'; auc ne: like {figures}\n' in printed
    assert 'hit@10: popularity .' in printed
    assert 'calibration' in printed
    assert main(['evaluate', '--model', str(out / 'model.npz'), '--data',
                 str(tmp_path), '--device', 'cpu', '--json']) == 0
    assert json.loads(capsys.readouterr().out) == metrics


def test_a_model_is_measured_by_the_history_it_may_read(tmp_path, capsys):
    _write(tmp_path, 'heldout = ["later.csv"]', cut_file=True)
    out, _ = _train(tmp_path, '--set', 'model.item_memory=false')
    capsys.readouterr()
    found = []
    for more in ([], ['--history', '2'], ['--history', '99']):
        assert main(['evaluate', '--model', str(out / 'model.npz'), '--data',
                     str(tmp_path), '--device', 'cpu', '--json', *more]) == 0
        found.append(json.loads(capsys.readouterr().out))
    whole, short, long = found
    assert short['like']['labels'] == whole['like']['labels']
    assert short['like']['ne'] != whole['like']['ne']
    assert long['like']['ne'] == pytest.approx(whole['like']['ne'], abs=1e-5)
    assert short['popularity'] == whole['popularity']
    assert 'model, all terms' not in short
    assert short['model, all terms, last 2 events'] != (
        whole['model, all terms'])
    assert long['model, all terms, last 99 events'] == (
        whole['model, all terms'])
    assert main(['evaluate', '--model', str(out / 'model.npz'), '--data',
                 str(tmp_path), '--history', '0']) == 1
    assert '--history: 0; must be at least 1' in capsys.readouterr().err


def test_a_mixed_model_is_measured_on_both_parts_of_a_file(tmp_path, capsys):
    _write(tmp_path, 'validate_from = "1970-01-01T03:20"\n'
           'test_from = "1970-01-01T04:00"', cut_file=False)
    _, found = _train(tmp_path, '--test')
    assert 'test part' in capsys.readouterr().out
    for part in ('metrics', 'test'):
        assert found[part]['like']['labels'] > 10
        assert 0 < found[part]['model, all terms']['hit@10'] <= 1
    assert found['metrics']['like'] != found['test']['like']


def test_all_moments_are_asked_where_that_is_said(tmp_path, capsys):
    _write(tmp_path, 'heldout = ["later.csv"]', cut_file=True)
    out, found = _train(tmp_path, '--moments', 'all', '--half-life-days', '.05', '--test')
    assert found['test']['moments'] == 4 * 25
    assert found['test']['users'] == 25
    assert '25 users, 100 moments' in capsys.readouterr().out
    evaluate = ['evaluate', '--model', str(out / 'model.npz'), '--data',
                str(tmp_path), '--device', 'cpu']
    assert main([*evaluate, '--json']) == 0
    first = json.loads(capsys.readouterr().out)
    assert first['moments'] == 25
    assert first['own decayed counts'] != found['test']['own decayed counts']
    assert main([*evaluate, '--moments', 'all', '--ranks',
                 str(tmp_path / 'ranks.csv')]) == 1
    assert '--ranks' in capsys.readouterr().err
    assert main([*evaluate, '--half-life-days', '0']) == 1
    assert 'half-life' in capsys.readouterr().err


def test_histories_are_read_as_far_as_is_said(tmp_path, capsys):
    _write(tmp_path, 'heldout = ["later.csv"]', cut_file=True)
    _, found = _train(tmp_path, '--read', '1,1000', '--test', '--set',
                      'model.item_memory=false')
    of_all, none, one = (found['test'][f'model, all terms{cut}'] for cut in (
        '', ', last 1000 events', ', last 1 events'))
    # Nobody has so many; but most have more than one.
    assert of_all == none != one
    with pytest.raises(SystemExit):
        _train(tmp_path, '--read', '0,5')
    assert "'0,5' is no list of numbers" in capsys.readouterr().err


def test_leave_one_out_has_one_moment(tmp_path, capsys):
    _write(tmp_path, 'split = "last"', cut_file=False)
    assert main(['train', '--config', str(tmp_path / 'config.toml'), '--data',
                 str(tmp_path), '--quiet', '--out', str(tmp_path / 'run'),
                 '--moments', 'all']) == 1
    assert '--moments all' in capsys.readouterr().err
