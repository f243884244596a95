"""Features of candidates: whose they are, and as of when."""

import dataclasses

import numpy as np
import pytest
import torch

from trainer import batches
from trainer import candidate_features
from trainer import cases
from trainer import config as config_lib
from trainer import dataset
from trainer import evaluate
from trainer import hyper as hyper_lib
from trainer import initial
from trainer import losses
from trainer import masked
from trainer import models
from trainer import sampler as sampler_lib
from trainer import train


def _config(features=('price', 'stock'), **training):
    return config_lib.from_dict({
        'name': 'x', 'data': {'catalogue': 'items.csv'},
        'model': {'d_model': 16, 'num_heads': 2, 'num_layers': 1,
                  'ffn_width': 16, 'head_width': 8,
                  'initial_half_lives': [4.0, 0.0],
                  'candidate_features': features,
                  'context_features': [{'name': 'day', 'values': ['a', 'b']}]},
        'training': {'epochs': 1, 'dropout': 0., **training}})


@pytest.fixture
def folder(tmp_path):
    """200 events of 20 users with 12 of 15 items; stock is of the events."""
    rng = np.random.default_rng(5)
    (tmp_path / 'items.csv').write_text('item,price\n' + ''.join(
        f'{item},{"" if item == 3 else item / 8}\n' for item in range(15)))
    lines = ['user,item,time,stock,day']
    for _ in range(200):
        lines.append(f'{rng.integers(20)},{rng.integers(12)},'
                     f'{rng.integers(1, 60)},{rng.integers(1, 999)},'
                     f'{rng.choice(["a", "b", "c", ""])}')
    (tmp_path / 'train.csv').write_text('\n'.join(lines) + '\n')
    return tmp_path


def _by_hand(data, row, second):
    """[price, stock] of an item just before a second."""
    prices = [item / 8 for item in range(15) if item != 3]
    price = (row - 1) / 8 if row not in (0, 4) else np.float32(np.mean(prices))
    found = [(when, index) for index, (when, other) in
             enumerate(zip(data.times_us // 1_000_000, data.rows))
             if other == row and when < second]
    stock = data.candidate_features[max(found)[1], 1] if row and found else None
    return [price, stock]


def test_features_are_as_of_before_a_second(folder):
    data, _ = dataset.open_data(folder, _config())
    assert data.column_names['candidate_features'] == ['price', 'stock']
    history = candidate_features.History(data, 'cpu')
    rows = torch.arange(16).expand(62, 16)
    seconds = torch.arange(62)
    mean = np.float32(data.candidate_features[:, 1].mean(dtype=np.float64))
    found = history.at(rows, seconds).numpy()
    for second in range(62):
        for row in range(16):
            wanted = _by_hand(data, row, second)
            # Events of one second have no order: any of them will do.
            same = data.candidate_features[data.rows == row, 1]
            assert found[second, row, 0] == wanted[0]
            if wanted[1] is not None:
                assert found[second, row, 1] in same
            else:
                assert found[second, row, 1] == mean
    # Each step in time changes what is known of the items had just before it.
    changed = (found[1:] != found[:-1]).any((0, 2))
    assert changed[1:13].all() and not changed[13:].any() and not changed[0]


def test_what_is_known_at_a_cut_is_of_the_newest_events_before_it(folder):
    data, _ = dataset.open_data(folder, _config())
    known = data.times_us < 30_000_000
    features = candidate_features.of_items(data, known)
    history = candidate_features.History(data.before(30_000_000), 'cpu')
    late = history.at(torch.arange(16)[None], torch.tensor([10 ** 9]))[0]
    assert features[:, 0] == pytest.approx(late[:, 0].numpy())
    assert features[0, 1] == pytest.approx(
        data.candidate_features[known, 1].mean(), rel=1e-5)
    for row in range(1, 16):
        times = data.times_us[known & (data.rows == row)]
        if len(times):
            newest = known & (data.rows == row) & (data.times_us == times.max())
            assert features[row, 1] in data.candidate_features[newest, 1]
        else:
            assert features[row, 1] == pytest.approx(
                data.candidate_features[known, 1].mean(), rel=1e-5)


def test_another_catalogue_keeps_the_features_of_its_items(folder):
    data, _ = dataset.open_data(folder, _config())
    other = data.with_catalogue(np.array([9, 3, 77, 0], np.uint64))
    prices = data.item_features[:, 0]
    assert prices[4] == prices[0] == pytest.approx(
        np.mean([item / 8 for item in range(15) if item != 3]))
    assert other.item_features[:, 0].tolist() == [
        prices[0], 9 / 8, prices[0], prices[0], 0.]
    data.save(folder / 'data')
    again, _ = dataset.open_data(folder / 'data', _config(['price']))
    assert again.column_names['candidate_features'] == ['price']
    assert again.item_features[:, 0].tolist() == prices.tolist()
    assert (again.candidate_features[:, 0] == prices[data.rows]).all()


def test_positives_and_negatives_are_looked_up_alike(folder):
    """The loss of a model that sees features alone is the same whatever the
    events that are to be predicted say of theirs."""
    data, config = dataset.open_data(folder, _config())
    torch.manual_seed(2)
    model = models.Model(config.model, len(data.item_ids), initial.Start(.1))
    with torch.no_grad():
        for name, value in model.values.items():
            value.normal_(std=.3)

    def loss(data):
        torch.manual_seed(9)
        source = batches.Source(data, 'cpu')
        batch = source.cut(data.offsets[:1], np.diff(data.offsets)[:1])
        sampler = sampler_lib.Sampler(source.item_counts(), config.training)
        shape = batch.rows.shape + (config.model.d_model,)
        params = model.params()
        tokens = batches.tokens(config.model, params, batch)
        _, traces = masked.events(config.model, params, tokens,
                                  clock=batch.clock)
        return losses.target_aware_loss(
            model, params, source, sampler, batch, traces, torch.zeros(shape),
            batch.valid, lambda x: x).item()

    before = loss(data)
    user = slice(0, data.offsets[1])
    last = data.times_us[user].max()
    changed = data.candidate_features.copy()
    newest = np.zeros(data.num_events, bool)
    newest[user] = data.times_us[user] == last
    newest[data.times_us >= last] = True  # Nobody's is known before then.
    assert newest.sum() > 1  # Their mean is known all the time.
    changed[newest, 1] = np.roll(changed[newest, 1], 1)
    assert loss(dataclasses.replace(data, candidate_features=changed)) == before
    changed = data.candidate_features.copy()
    changed[data.times_us < last, 1] += 1_000
    assert loss(dataclasses.replace(data, candidate_features=changed)) != before


def test_rankings_use_features_and_context(folder):
    """A model that scores by one of them alone ranks by it alone."""
    data, config = dataset.open_data(folder, _config())
    found = cases.after(data, 40_000_000)
    rows = data.context_rows[[events[0] for events in found.targets], 0]
    assert found.contexts.shape == (len(found.users), 1)
    assert set(rows) == {0, 1, 2}
    model, _ = train.train(config, data.before(40_000_000), quiet=True)
    params = {name: value.detach().clone()
              for name, value in model.params().items()}
    source = batches.Source(data, 'cpu')
    features = candidate_features.of_items(data, found.known)

    def top(found, features):
        return evaluate.rank_catalogue(config.model, params, source, found,
                                       features)[0]['all terms']
    as_it_is = top(found, features)
    assert not (top(found, features[:, ::-1].copy()) == as_it_is).all()
    params['context.day'] = torch.randn(3, 16)
    in_context = top(found, features)
    found.contexts[:] = 0
    assert not (top(found, features) == in_context).all()
