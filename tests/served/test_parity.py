"""What the server ranks is what the trainer computes, to 4 decimals.

A tiny model is trained on generated data, exported, served by the real server
and evaluated by the real command line, once for each protocol.
"""

import dataclasses

import numpy as np
import pytest

from bench import served_comparison
from bench import served_quality
from trainer import config as config_lib
from trainer import export
from trainer import ranking_metrics

USERS, ITEMS = 200, 120

CONFIG = '''
name = "tiny"
[data]
{data}
[model]
d_model = 16
num_heads = 2
num_layers = 2
ffn_width = 16
initial_half_lives = [2.0, 50.0]
actions = ["view", "buy"]
{model}
[training]
epochs = 3
learning_rate = 1e-2
dropout = 0.0
item_init_std = 0.2
negatives = 32
'''

OFF = 'target_aware = "TARGET_AWARE_OFF"\nhead_width = 0'
BLOCK = 'target_aware = "TARGET_AWARE_DEDICATED_BLOCK"\nhead_width = 8'
ALL = ('target_aware = "TARGET_AWARE_ALL_LAYERS"\nhead_width = 8\n'
       'phi2 = "PHI2_SILU"\n'
       'event_features = [{ name = "tags", separator = "|" }, "price"]\n'
       'candidate_features = ["price", "weight", { name = "kind" },\n'
       '                      { name = "tags", separator = "|", hashed = 4 }]\n'
       'context_features = [{ name = "device", default = "tv" },\n'
       '                    { name = "age", buckets = 4 }]\n'
       'item_attributes = ["kind"]\nitem_numbers = ["weight"]')

SEEDS = BLOCK + '\nnum_seeds = 16\nsummary_attention = true'
# Histories have up to forty items.
MEMORY = BLOCK + '\nitem_memory = { entries = 8, half_lives_s = [60, 86_400] }'


def _events(rng):
    """Lines of users who walk along the items, with baskets now and then. An
    event's price says how far the next step goes."""
    lines = []
    for user in range(USERS):
        item, when = rng.integers(ITEMS), 1_000_000 + int(rng.integers(1_000))
        price = rng.random()
        for _ in range(rng.integers(3, 40)):
            item = (item + 1 + int(3 * price)) % ITEMS
            price = rng.random()
            when += int(rng.choice([0, 60, 86_400]))
            action = 'buy' if rng.random() < .3 else 'view'
            lines.append((f'u{user}', 10 * item + 7, action, when,
                          round(price, 3), ('phone', 'tv', '', 'fax')[
                              int(rng.integers(4))], _tags(rng)))
    return lines


def _tags(rng):
    """None, one or two of three tags."""
    return '|'.join(rng.choice(['new', 'sale', 'été'], rng.integers(3),
                               replace=False))


def _write(path, lines, name=str):
    text = ''.join(f'{user},{name(item)},' + ','.join(map(str, rest)) + '\n'
                   for user, item, *rest in lines)
    path.write_text('user,item,action,time,price,device,tags\n' + text)


def _leave_one_out(folder, rng):
    _write(folder / 'events.csv', _events(rng))
    (folder / 'items.csv').write_text(
        'item\n' + ''.join(f'{10 * item + 7}\n' for item in range(ITEMS)))
    return ('train = ["events.csv"]\nsplit = "last"\nequal_times = "order"\n'
            'catalogue = "items.csv"')


def _next_basket(folder, rng, name=str):
    lines = _events(rng)
    cut = sorted(line[3] for line in lines)[int(.8 * len(lines))]
    _write(folder / 'train.csv', [line for line in lines if line[3] < cut],
           name)
    _write(folder / 'heldout.csv', [line for line in lines if line[3] >= cut],
           name)
    # About half of the items are too rare to have a row; baskets hold several.
    return 'heldout = ["heldout.csv"]\nmin_item_count = 28'


def _next_basket_of_known_items(folder, rng):
    """Half of the items are new or rare, and nothing but what the table says;
    the table does not have all of the others. They are known by texts. No two
    are alike in the table: the trainer has no order of ties in float32."""
    def name(item):
        return f'sku {item}'
    (folder / 'items.csv').write_text('item,kind,weight\n' + ''.join(
        f'{name(10 * item + 7)},{item % 7},'
        f'{"" if item == 5 else item / 9}\n'
        for item in range(ITEMS) if item % 11))
    # Some users are not in the table.
    (folder / 'users.csv').write_text('user,age\n' + ''.join(
        f'u{user},{user % 90}\n' for user in range(USERS) if user % 13))
    return (_next_basket(folder, rng, name) + '\ncatalogue = "items.csv"'
            '\nitem_keys = "text"\nusers = "users.csv"')


@pytest.mark.parametrize('protocol, model', [
    (_leave_one_out, OFF), (_leave_one_out, BLOCK), (_next_basket, BLOCK),
    (_next_basket_of_known_items, ALL), (_next_basket, SEEDS), (_leave_one_out, MEMORY),
    (_next_basket, MEMORY)],
    ids=['last-dot', 'last-block', 'basket-block', 'basket-all-layers',
         'basket-seeds', 'last-memory', 'basket-memory'])
def test_served_and_offline_figures_agree(tmp_path, programs, run_trainer,
                                          protocol, model):
    data = protocol(tmp_path, np.random.default_rng(1))
    config_file = tmp_path / 'tiny.toml'
    config_file.write_text(CONFIG.format(data=data, model=model))
    run_trainer('train', '--config', config_file, '--data', tmp_path, '--out',
                tmp_path / 'run', '--quiet', '--final')
    _make_loud(tmp_path / 'run/model.npz')
    run_trainer('export', '--model', tmp_path / 'run/model.npz', '--out',
                tmp_path / 'models')
    bundle = tmp_path / 'models/tiny/1'
    # With what it took from the data.
    config = dataclasses.replace(config_lib.load(config_file),
                                 model=export.read(bundle).hyper)

    served = served_quality.serve(bundle, config, tmp_path, programs)
    metrics, ranks = served_quality.compute_offline(
        export.read(bundle).tensors, config, tmp_path)
    offline = served_comparison.offline_figures(metrics)

    assert served.late_events == 0
    assert served.evaluated['users'] > USERS / 3
    assert 0 < offline['hit@10'] < 1
    assert served_comparison.disagreements(
        served.evaluated['qlarank'], offline,
        (served.evaluated['users'], metrics['users'])) == []
    assert served_comparison.baseline_disagreements(served.evaluated,
                                                    metrics) == []
    assert served.ranks == ranks
    # Measures end at 50; places don't.
    assert protocol is not _leave_one_out or (
        max(ranks.values()) > ranking_metrics.TOP)
    for column in ('price', 'weight', 'device', 'age', 'tags',
                   'kind') if model == ALL else ():
        # Both looked at it: without it, it is another rank for some.
        blank = _blanked(tmp_path, config, column)
        _, without = served_quality.compute_offline(
            export.read(bundle).tensors, config, blank)
        assert len(served_comparison.moved(served.ranks, without)) > 2, column


def _make_loud(path):
    """So few epochs leave context and candidates' features next to nothing."""
    with np.load(path) as arrays:
        tensors = {name: arrays[name] for name in arrays.files}
    for name in tensors:
        if name.startswith(('context.', 'candidate_projection')):
            tensors[name] = 30 * tensors[name]
    np.savez(path, **tensors)


def _blanked(folder, config, column):
    """A folder with the same data, but for a column, which is 0 or 50."""
    blank = folder / f'blank-{column}'
    blank.mkdir()
    for name in (*config.data.train, *config.data.heldout,
                 config.data.catalogue, config.data.users):
        lines = (folder / name).read_text().splitlines()
        head, *rows = (line.split(',') for line in lines)
        rows = list(rows)
        for at, row in enumerate(rows):
            if column in head:
                row[head.index(column)] = '50' if at % 2 else '0'
        (blank / name).write_text(''.join(
            ','.join(row) + '\n' for row in (head, *rows)))
    return blank


def test_a_difference_in_the_fourth_decimal_is_told():
    offline = {'hit@10': .5, 'ndcg@10': .25}
    served = {'hit@10': .50004, 'ndcg@10': .25006, 'hit@50': 1}
    lines = served_comparison.disagreements(served, offline, (10, 11))
    assert len(lines) == 2
    assert '10 users were served, 11' in lines[0]
    assert 'ndcg@10 is 0.250060 served and 0.250000' in lines[1]
    # So is one in a part, or in a baseline.
    offline, served = ({'users': 9, 'popularity': {
        'hit@10': .5, 'repeat': {'users': 7, 'standard errors': {
            'hit@10': error}}}} for error in (.1, .1002))
    [line] = served_comparison.baseline_disagreements(served, offline)
    assert line == ('popularity: repeat standard errors hit@10 is 0.100200 '
                    'served and 0.100000 offline')
    # NaN agrees with nothing.
    assert served_comparison.disagreements({'hit@10': float('nan')},
                                        {'hit@10': .5}, (1, 1))


def test_users_whose_place_differs_are_counted_wherever_it_is():
    served = {'ann': 1, 'bob': 3_000, 'eve': 70, 'dan': 0, 'joe': 9, 'sue': 0}
    offline = {'ann': 1, 'bob': 3_002, 'eve': 69, 'dan': 0, 'joe': 0, 'kim': 2}
    assert served_comparison.moved(served, offline) == {
        'bob': 2, 'eve': 1, 'joe': None, 'kim': None, 'sue': None}
    assert served_comparison.places_line(served, offline) == (
        '2 of 7 users have the same rank served and offline, in the whole '
        'catalogue; 2 differ, by 2 at most; 3 are ranked in one alone')
    assert served_comparison.places_line(served, served).endswith('catalogue')


def test_what_a_lower_precision_loses_is_told():
    exact = {'hit@10': .4, 'ndcg@10': .2, 'hit@50': .6}
    changes = served_comparison.losses(
        {'hit@10': .398, 'ndcg@10': .202, 'hit@50': .1}, exact)
    assert changes == pytest.approx({'hit@10': -.005, 'ndcg@10': .01})
