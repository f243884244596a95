"""What a server says of labelled events is what the trainer says, one by one.

Tiny models are trained for some steps on generated impressions, exported, and
asked by the real command line about every event that is held out: from the
state before its moment, with what of its user was held out and came earlier.
"""

import dataclasses

import numpy as np
import pytest

from bench import served_comparison
from bench import served_labels
from bench import served_quality
from trainer import config as config_lib
from trainer import export

USERS, ITEMS, START, CUT = 60, 80, 1_000_000, 1_600_000

CONFIG = '''
name = "tiny"
[data]
min_item_count = 1
labels = {{ click = "clicked", like = "liked" }}
{data}
[model]
d_model = 16
num_heads = 2
num_layers = 2
ffn_width = 16
conv_width = 3
head_width = 8
initial_half_lives = [2.0, 50.0]
actions = ["shown", "opened"]
event_features = ["watched", {{ name = "device", values = ["tv", "phone"] }}]
candidate_features = [{{ name = "tags", separator = "|", hashed = 4 }},
                      "length", "price", {{ name = "kind", values = ["a", "b"] }}]
context_features = [{{ name = "device", default = "tv" }},
                    {{ name = "age", buckets = 4 }}]
target_aware = "TARGET_AWARE_ALL_LAYERS"
{model}
[training]
steps = 30
learning_rate = 1e-2
dropout = 0.0
item_init_std = 0.2
negatives = 32
'''
LABELLED = ('tasks = [{ name = "click", dot_term = false }, '
            '{ name = "like", dot_term = true }]\n')
SEEDS = LABELLED + 'num_seeds = 16\nsummary_attention = true'
# What comes next is predicted, too, with what is known of single items.
MIXED = ('tasks = [{ name = "next" }, { name = "click", dot_term = false }, '
         '{ name = "like", dot_term = true }]\n'
         'item_memory = { entries = 8, half_lives_s = [60, 86_400] }')
COLUMNS = ('user,item,action,time,watched,length,price,device,age,clicked,'
           'liked,kind,tags')


def _events(rng):
    """Lines of impressions, in order of time. Some are of one moment, some have
    a label of one task or of none, and every fifth user is new after the
    cut."""
    lines = []
    for user in range(USERS):
        when = CUT if user % 5 == 0 else START + int(rng.integers(1_000))
        for _ in range(rng.integers(4, 40)):
            when += int(rng.choice([0, 0, 1, 60, 86_400]))
            item, device = int(rng.integers(ITEMS)), rng.choice(
                ['phone', 'tv', '', 'fax'])
            click = int(device == 'phone' and item % 2 == 0)
            labels = [click, int(rng.random() < .2)]
            for task in range(2):
                if rng.random() < .15:
                    labels[task] = ''
            lines.append((f'u{user}', 10 * item + 7,
                          ('shown', 'opened')[click], when,
                          round(rng.random(), 3), round(rng.random(), 3),
                          item / 7, device, int(rng.integers(10, 70)),
                          *labels, 'abc'[item % 3],
                          '|'.join('xyz'[:int(rng.integers(4))])))
    return sorted(lines, key=lambda line: line[3])


def _write(path, lines, columns=COLUMNS):
    path.write_text(''.join(','.join(map(str, line)) + '\n'
                            for line in [columns.split(','), *lines]))


def _one_file(folder, lines):
    """Cut in three by time; the times say the zone."""
    _write(folder / 'events.csv', lines)
    # The last is 1,600,000 s after 1970.
    return ('train = ["events.csv"]\n'
            'validate_from = "1970-01-17T12:00"\n'
            'test_from = "1970-01-19T14:26:40+02:00"')


def _two_files(folder, lines):
    """Later events in a file of their own, not in order, each of which is a
    moment. One column is the item's, one the user's."""
    no_price = [line[:6] + line[7:8] + line[9:11] + line[12:]
                for line in lines]
    columns = COLUMNS
    for column in ('price', 'age', 'kind'):
        columns = columns.replace(f',{column}', '')
    _write(folder / 'train.csv', [line for line in no_price if line[3] < CUT],
           columns)
    later = [line for line in no_price if line[3] >= CUT]
    _write(folder / 'heldout.csv', later[::2] + later[1::2], columns)
    # Not all items are there, nor all users.
    (folder / 'items.csv').write_text('item,price,kind\n' + ''.join(
        f'{10 * item + 7},{"" if item == 5 else item / 9},{"abc"[item % 3]}\n'
        for item in range(ITEMS) if item % 11))
    (folder / 'users.csv').write_text('user,age\n' + ''.join(
        f'u{user},{user % 90}\n' for user in range(USERS) if user % 13))
    return ('heldout = ["heldout.csv"]\nequal_times = "order"\n'
            'catalogue = "items.csv"\nusers = "users.csv"')


def _last_events(folder, lines):
    _write(folder / 'events.csv', lines)
    return ('train = ["events.csv"]\nsplit = "last"\nequal_times = "order"')


@pytest.mark.parametrize('protocol, model', [
    (_one_file, LABELLED), (_one_file, SEEDS), (_one_file, MIXED),
    (_two_files, LABELLED), (_two_files, MIXED), (_last_events, MIXED)],
    ids=['file', 'file-seeds', 'file-mixed', 'files', 'files-mixed',
         'last-mixed'])
def test_every_event_has_the_same_logits(tmp_path, programs, run_trainer,
                                         protocol, model):
    data = protocol(tmp_path, _events(np.random.default_rng(3)))
    bundle, config = _train(tmp_path, run_trainer, data, model)
    tensors = export.read(bundle).tensors

    found = served_quality.serve(bundle, config, tmp_path, programs)
    served, offline = found.labels, served_labels.offline(tensors, config,
                                                          tmp_path)

    assert served_labels.disagreements(served, offline) == []
    comparison = served_labels.compare(served, offline)
    assert comparison.equal == comparison.events == served.report['events']
    assert [*served.tasks] == ['click', 'like']
    new = {f'u{user}' for user in range(0, USERS, 5)}
    if protocol is _last_events:
        assert comparison.events > USERS / 2
    else:
        assert comparison.events > 300
        assert new < served.events.keys()
    _check_rankings(found, tensors, config, tmp_path)
    # What the trainer prints is of the same events.
    for task, row in _printed(bundle, config, tmp_path).items():
        assert row['labels'] == served.tasks[task]['labels']
        assert row['auc'] == pytest.approx(served.tasks[task]['auc'], abs=1e-5)
    # Both looked at all of it: without it, other logits are told.
    for column in ('watched', 'length', 'price', 'device', 'age', 'kind',
                   'tags'):
        blank = served_labels.offline(
            tensors, config, _blanked(tmp_path, config, column))
        without = served_labels.compare(served, blank)
        assert without.events - without.equal > .5 * without.events, column


def _check_rankings(found, tensors, config, folder):
    """That there are some where something predicts the next items, the
    trainer's."""
    if config.model.tasks[0].name != 'next':
        assert found.evaluated is None and found.ranks is None
        return
    metrics, ranks = served_quality.compute_offline(tensors, config, folder)
    assert found.ranks == ranks
    assert served_comparison.disagreements(
        found.evaluated['qlarank'], served_comparison.offline_figures(metrics),
        (found.evaluated['users'], metrics['users'])) == []


def _train(folder, run_trainer, data, model):
    """The bundle's folder and the Config with what it took from the data."""
    config_file = folder / 'tiny.toml'
    config_file.write_text(CONFIG.format(data=data, model=model))
    run_trainer('train', '--config', config_file, '--data', folder, '--out',
                folder / 'run', '--quiet', '--final')
    # So few steps leave context and candidates' features next to nothing.
    with np.load(folder / 'run/model.npz') as arrays:
        tensors = {name: arrays[name] for name in arrays.files}
    for name in tensors:
        if name.startswith(('context.', 'candidate_projection')):
            tensors[name] = 10 * tensors[name]
    np.savez(folder / 'run/model.npz', **tensors)
    run_trainer('export', '--model', folder / 'run/model.npz', '--out',
                folder / 'models')
    bundle = folder / 'models/tiny/1'
    return bundle, dataclasses.replace(config_lib.load(config_file),
                                       model=export.read(bundle).hyper)


def _printed(bundle, config, folder):
    """{task: metrics} of the trainer's own evaluation."""
    from trainer import dataset, evaluations, parts
    read = export.read(bundle)
    data, config = dataset.open_data(folder, config)
    metrics = parts.cut(config, data, evaluations.How(), final=True
                        ).make_test()(config.model, read.params())
    return {task: metrics[task] for task in config.data.labels}


def _blanked(folder, config, column):
    """A folder with the same data, but for a column, which is 0 or 50."""
    blank = folder / f'blank-{column}'
    blank.mkdir()
    for name in filter(None, (*config.data.train, *config.data.heldout,
                              config.data.catalogue, config.data.users)):
        head, *rows = (line.split(',') for line in
                       (folder / name).read_text().splitlines())
        for at, row in enumerate(rows):
            if column in head:
                row[head.index(column)] = '50' if at % 2 else '0'
        (blank / name).write_text(''.join(
            ','.join(row) + '\n' for row in (head, *rows)))
    return blank


def test_a_user_with_more_recent_events_than_allowed_is_named(
        tmp_path, programs, run_trainer, monkeypatch):
    lines = [('ann', 7, 'shown', 100, 0, 0, 0, 'tv', 20, 1, 0, 'a', 'x'),
             ('bob', 7, 'shown', 100, 0, 0, 0, 'tv', 20, 0, 1, 'b', ''),
             ('bob', 17, 'shown', 200, 0, 0, 0, 'phone', 40, 0, 1, '',
              'x|y')]
    later = [('ann', 7, 'shown', CUT + at, 0, 0, 0, 'tv', 20, 1, 0, 'a', 'z')
             for at in range(258)]
    data = _one_file(tmp_path, lines + later)
    bundle, config = _train(tmp_path, run_trainer, data, LABELLED)
    found = served_quality.serve(bundle, config, tmp_path, programs)
    assert served_labels.disagreements(found.labels, served_labels.offline(
        export.read(bundle).tensors, config, tmp_path)) == []
    monkeypatch.setattr(served_quality, 'LIMITS', '')  # 256
    with pytest.raises(RuntimeError, match='heldout.csv:259: user ann, .* the '
                       '257 events before.*at most 256.*limits'):
        served_quality.serve(bundle, config, tmp_path, programs)


def test_the_command_says_how_equal_they_are(tmp_path, programs, run_trainer,
                                             capsys):
    data = _one_file(tmp_path, _events(np.random.default_rng(3)))
    bundle, _ = _train(tmp_path, run_trainer, data, LABELLED)
    arguments = ['--bundle', str(bundle), '--config',
                 str(tmp_path / 'tiny.toml'), '--data', str(tmp_path),
                 '--build', str(programs.cli.parents[1]), '--cache',
                 str(tmp_path / 'offline.json')]
    for _ in range(2):  # Computed, and kept.
        assert served_quality.main(arguments) == 0
        printed = capsys.readouterr().out
        assert 'click, served through RankService' in printed
        assert 'events with labels have the same logits' in printed
        assert 'served and offline agree to 4 decimals' in printed


def _labels(logit, label=1, auc=.5):
    return served_labels.Labels(
        None, {'click': {'labels': 1, 'rate': 1., 'auc': auc,
                         'ne': float('nan'), 'calibration': 1.}},
        {'ann': [(7, {'click': label}, {'click': logit})]})


def test_differences_are_told():
    assert served_labels.disagreements(_labels(1.), _labels(1.00009)) == []
    [line] = served_labels.disagreements(_labels(1.), _labels(1.0002))
    assert 'user ann: event 1 of 1, item 7' in line
    assert served_labels.compare(
        _labels(1.), _labels(1.0002)).largest == pytest.approx(2e-4)
    [line] = served_labels.disagreements(_labels(1.), _labels(1., label=0))
    assert 'not the same ones' in line
    [line] = served_labels.disagreements(_labels(1.), _labels(1., auc=.5001))
    assert line == 'click: auc is 0.500000 served and 0.500100 offline'
    [line] = served_labels.disagreements(_labels(1., auc=float('nan')),
                                         _labels(1.))
    assert line.startswith('click: auc is nan')
    missing = served_labels.Labels(None, {}, {})
    assert len(served_labels.disagreements(missing, _labels(1.))) == 2
    assert len(served_labels.disagreements(_labels(1.), missing)) == 2
