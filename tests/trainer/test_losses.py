"""The losses of rankings against loops over their definitions, in float64."""

import math

import numpy as np
import pytest
import torch

import tiny_batches
from trainer import batches
from trainer import dot_loss
from trainer import initial
from trainer import losses
from trainer import masked
from trainer import models
from trainer import reference
from trainer import sampler as sampler_lib
from trainer import steps

NUM_ITEMS = 12


@pytest.fixture
def params():
    config = tiny_batches.config()
    torch.manual_seed(5)
    model = models.Model(config.model, NUM_ITEMS, initial.Start(.3))
    with torch.no_grad():
        for value in model.values.values():
            value += .2 * torch.randn(value.shape)
    return {name: value.detach().double()
            for name, value in model.params().items()}


def _users(batch):
    return reference.unit(torch.randn(*batch.rows.shape, 16,
                                      dtype=torch.float64))


def _log_p(params, user, share):
    """-loss [N + 1] of each item as a target after user [d]."""
    logits = reference.dot_scores(params, user, torch.arange(NUM_ITEMS + 1))
    log_p = torch.log_softmax(logits, -1)
    return (1 - share) * log_p + share * log_p.mean()


def _moments(events, user):
    """Columns of a user's moments: lists of events with one time."""
    begin, end = events.offsets[user:user + 2]
    times = events.times_us[begin:end]
    return [np.flatnonzero(times == time) for time in np.unique(times)]


def _next_items(events, users, params, targets, settings):
    """The loss by its definition, and with all neighbours counted."""
    total = weights = 0.
    for user in range(len(events.users)):
        rows = events.rows[events.offsets[user]:]
        before = None
        for moment in _moments(events, user):
            for column in moment:
                asked = []
                if before is not None:
                    asked.append((before, settings.next_moment_weight /
                                  len(moment)))
                if column > moment[0]:
                    asked.append((column - 1, settings.same_moment_weight))
                for position, weight in asked:
                    if targets[user, column] and rows[column] > 0:
                        total -= weight * _log_p(
                            params, users[user, position],
                            settings.label_smoothing)[rows[column]]
                        weights += weight
            before = moment[-1]
    return float(total), float(weights)


@pytest.mark.parametrize('training', [
    {}, {'label_smoothing': 0.}, {'label_smoothing': .3},
    {'next_moment_weight': 2., 'same_moment_weight': .5},
    {'same_moment_weight': 0.}, {'next_moment_weight': 0.}])
def test_next_item_loss_is_its_definition(params, training):
    torch.manual_seed(1)
    events = tiny_batches.data([9, 1, 5, 14], NUM_ITEMS)
    _, batch = tiny_batches.whole(events)
    users = _users(batch)
    settings = tiny_batches.config(**training).training
    targets = batch.valid & (batch.actions == 1)
    total, weight = _next_items(events, users, params, targets, settings)
    found = dot_loss.next_item_loss(params, settings, batch, users, targets)
    assert float(found) == pytest.approx(total / weight, rel=1e-6)


def test_a_window_that_cuts_a_moment_predicts_what_it_knows(params):
    """Its first events are neighbours, and come after nothing."""
    torch.manual_seed(1)
    events = tiny_batches.data([4], NUM_ITEMS, unknown=0.)
    events.times_us[:] = np.array([0, 0, 0, 9]) * 1_000_000
    settings = tiny_batches.config(label_smoothing=0.).training
    batch = batches.Source(events, 'cpu').cut(np.array([1]), np.array([3]))
    users = _users(batch)
    rows = events.rows
    wanted = -(_log_p(params, users[0, 0], 0.)[rows[2]] +
               _log_p(params, users[0, 1], 0.)[rows[3]]) / 2
    found = dot_loss.next_item_loss(params, settings, batch, users,
                                    batch.valid)
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


def test_a_share_of_the_neighbours_has_the_expectation_of_all(params):
    """Weights are 1 / share: the sum of losses and that of weights both have
    the expectation that they have with every neighbour."""
    torch.manual_seed(2)
    events = tiny_batches.data([60] * 8, NUM_ITEMS)
    _, batch = tiny_batches.whole(events)
    users = _users(batch)
    # Neighbours are easy to predict, so that their weight shows.
    following = reference.look_up(params['item_embedding'],
                                  batch.rows.roll(-1, 1))
    inside = batch.first.roll(-1, 1) <= torch.arange(60)
    users = torch.where(inside[..., None], reference.unit(following), users)

    def loss(share):
        settings = tiny_batches.config(same_moment_share=share).training
        return float(dot_loss.next_item_loss(params, settings, batch, users,
                                             batch.valid))
    some = np.array([loss(.25) for _ in range(150)])
    error = some.std() / math.sqrt(len(some))
    # The ratio of two sums of hundreds is biased by less than its error.
    assert abs(some.mean() - loss(1.)) < 4 * error
    assert error < .01
    without = tiny_batches.config(same_moment_weight=0.).training
    assert abs(loss(1.) - float(dot_loss.next_item_loss(
        params, without, batch, users, batch.valid))) > 8 * error


# ---- Sampled softmax ---------------------------------------------------------


def _every_row_once():
    """Shared negatives that are the catalogue: the loss is the full one's."""
    rows = torch.arange(NUM_ITEMS + 1)
    return sampler_lib.Shared(rows, torch.zeros(len(rows)),
                              torch.full((len(rows),), 1 / len(rows)))


@pytest.mark.parametrize('ordered', [False, True])
@pytest.mark.parametrize('smoothing', [0., .3])
def test_a_sample_of_every_row_is_full_softmax(params, ordered, smoothing):
    torch.manual_seed(1)
    events = tiny_batches.data([9, 1, 5, 14], NUM_ITEMS, ordered=ordered)
    _, batch = tiny_batches.whole(events)
    users = _users(batch)
    settings = tiny_batches.config(label_smoothing=smoothing,
                                   later_weights=[.5]).training
    loss = dot_loss.next_event_loss if ordered else dot_loss.next_item_loss
    values = {name: params[name].clone().requires_grad_()
              for name in ('item_embedding', 'item_bias', 'log_scale')}

    def with_gradients(negatives):
        found = loss({**params, **values}, settings, batch, users,
                     batch.valid, negatives)
        return [found, *torch.autograd.grad(found, values.values())]
    for mine, full in zip(with_gradients(_every_row_once()),
                          with_gradients(None)):
        assert torch.allclose(mine, full, rtol=1e-6, atol=1e-9)


def test_the_sampled_sum_has_the_full_sums_expectation(params):
    """exp of (loss + own logit) is the normaliser of a target, without label
    smoothing; with it the loss differs by the mean logit's estimate."""
    torch.manual_seed(4)
    events = tiny_batches.data([9, 14], NUM_ITEMS)
    source, _ = tiny_batches.whole(events)
    user = reference.unit(torch.randn(3, 16, dtype=torch.float64))
    rows = torch.tensor([2, 7, 12])
    logits = reference.dot_scores(params, user, torch.arange(NUM_ITEMS + 1))
    own = logits[torch.arange(3), rows]
    plain = tiny_batches.config(label_smoothing=0., dot_negatives=32).training
    smooth = tiny_batches.config(label_smoothing=.2, dot_negatives=32).training
    sampler = sampler_lib.Sampler(source.item_counts(), plain)
    normalisers, means = [], []
    for _ in range(1_500):
        negatives = sampler.shared()
        loss = dot_loss._sampled(params, plain, user, rows, negatives)
        smoothed = dot_loss._sampled(params, smooth, user, rows, negatives)
        normalisers.append((loss + own).exp())
        means.append(((loss + own) - smoothed - .8 * own) / .2)
    for found, wanted in ((normalisers, logits.exp().sum(-1)),
                          (means, logits.mean(-1))):
        found = torch.stack(found)
        error = found.std(0) / math.sqrt(len(found))
        assert ((found.mean(0) - wanted).abs() < 5 * error).all()
        assert (error < .03 * wanted.abs().clamp_min(1)).all()


def test_a_target_among_the_negatives_is_in_the_sum_once(params):
    user = reference.unit(torch.randn(1, 16, dtype=torch.float64))
    negatives = sampler_lib.Shared(torch.tensor([3, 5]),
                                   torch.tensor([6., 4.]).log(), None)
    settings = tiny_batches.config(label_smoothing=0.).training
    logits = reference.dot_scores(params, user, torch.tensor([3, 5]))[0]
    wanted = torch.log(logits[0].exp() + 4 * logits[1].exp()) - logits[0]
    found = dot_loss._sampled(params, settings, user, torch.tensor([3]),
                              negatives)
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


def test_chunks_of_positions_do_not_change_a_sampled_loss(params, monkeypatch):
    torch.manual_seed(1)
    users = reference.unit(torch.randn(50, 16, dtype=torch.float64))
    rows = torch.randint(1, NUM_ITEMS + 1, (50,))
    settings = tiny_batches.config().training
    whole = dot_loss._sampled(params, settings, users, rows, _every_row_once())
    monkeypatch.setattr(dot_loss, '_KEPT_LOGITS', 0)
    monkeypatch.setattr(dot_loss, '_CHUNK', 7)
    parts = dot_loss._sampled(params, settings, users, rows, _every_row_once())
    assert torch.allclose(whole, parts)


# ---- The target-aware term ---------------------------------------------------


def test_positions_are_right_before_moments_that_teach_something():
    torch.manual_seed(1)
    events = tiny_batches.data([9, 14, 1, 2], NUM_ITEMS)
    _, batch = tiny_batches.whole(events)
    wanted = batch.valid & (batch.actions == 1) & (batch.rows > 0)
    seen = torch.zeros(4, 14)
    for _ in range(2_000):
        positions, chosen = losses.sample_positions(batch, 2, wanted)
        assert positions.shape == chosen.shape == (4, 2)
        assert (positions[:, 0] != positions[:, 1]).all()
        seen.scatter_add_(1, positions, chosen.float())
    for user in range(4):
        moments = _moments(events, user)
        ends = [moment[0] - 1 for moment in moments[1:]
                if wanted[user, moment].any()]
        assert set(seen[user].nonzero()[:, 0].tolist()) == set(ends)
        # Each as often as the others, two at a time.
        expected = 2_000 * min(2, len(ends)) / max(1, len(ends))
        assert (abs(seen[user, ends] - expected) <=
                5 * math.sqrt(expected)).all()


@pytest.mark.parametrize('limit', [1, 2, 20])
def test_the_next_moment_is_all_of_it_up_to_a_limit(limit):
    events = tiny_batches.data([9, 14, 1], NUM_ITEMS)
    _, batch = tiny_batches.whole(events)
    ends = [[moment[-1] for moment in _moments(events, user)]
            for user in range(3)]
    count = min(map(len, ends[:2]))
    positions = torch.tensor([ends[0][:count], ends[1][-count:],
                              [0] * count])
    columns, present = losses._next_moment(batch, positions, limit)
    for user in range(3):
        moments = _moments(events, user)
        for at, position in enumerate(positions[user].tolist()):
            after = [moment for moment in moments if moment[0] == position + 1]
            wanted = list(after[0][:limit]) if after else []
            assert columns[user, at][present[user, at]].tolist() == wanted


def _repeated_basket(events):
    """The last moment of user 0 is three events of two items."""
    end = events.offsets[1]
    events.rows[end - 3:end] = 4, 6, 4
    events.items[end - 3:end] = 103, 105, 103
    events.times_us[end - 3:end] = events.times_us[end - 1]
    events.actions[end - 3:end] = 1
    return events


@pytest.mark.parametrize('power', [0., .5])
def test_target_aware_loss_is_its_definition(params, power, monkeypatch):
    """Candidates are ranked event by event, as a server does."""
    torch.manual_seed(1)
    events = _repeated_basket(tiny_batches.data([9, 5, 14], NUM_ITEMS))
    events.labels[:] = np.nan
    config = tiny_batches.config(positives=20, moments=20, negatives=8,
                                 moment_size_power=power)
    source, batch = tiny_batches.whole(events)
    sampler = sampler_lib.Sampler(source.item_counts(), config.training)
    drawn = []

    def draw(*args):
        drawn.append((args[1], *sampler_lib.Sampler.draw(sampler, *args)))
        return drawn[0][1:]
    monkeypatch.setattr(sampler, 'draw', draw)
    tokens = batches.tokens(config.model, params, batch)
    x, traces = masked.events(config.model, params, tokens, reference.keep,
                              batch.clock)
    users = reference.user_vector(params, x)
    targets = batch.valid & (batch.actions == 1)
    model = models.Model(config.model, NUM_ITEMS)
    found = losses.target_aware_loss(model, params, source, sampler, batch,
                                     traces, users, targets, reference.keep)
    positions, negatives, log_expected = drawn[0]
    total = weights = 0.
    for user in range(3):
        for at, position in enumerate(positions[user].tolist()):
            loss, count = _ranked(
                config.model, params, events, user, position,
                targets[user], negatives[user, at], log_expected[user, at])
            if count:
                total += count ** power * loss
                weights += count ** power
    assert weights > 3
    assert float(found) == pytest.approx(float(total / weights), rel=1e-5)


def _ranked(hyper, params, events, user, position, targets, negatives,
            log_expected):
    """(loss, number of targets) of the moment after a position."""
    begin = events.offsets[user]
    state = reference.empty_state(hyper, torch.float64)
    for index in range(begin, begin + position + 1):
        state = reference.append(hyper, params, state, reference.Event(
            int(events.rows[index]), int(events.actions[index]),
            int(events.times_us[index])))
    after = [moment for moment in _moments(events, user)
             if moment[0] == position + 1]
    wanted = [int(events.rows[begin + column]) for column in
              (after[0] if after else []) if targets[column]]
    wanted = [row for row in wanted if row > 0]
    if not wanted:
        return 0., 0
    logits, _ = reference.rank(
        hyper, params, state, int(events.times_us[begin + position + 1]),
        torch.arange(NUM_ITEMS + 1))
    logits = logits[:, 0]
    normaliser = sum(float(logits[row].exp()) for row in set(wanted))
    for row, expected in zip(negatives.tolist(), log_expected.tolist()):
        if row not in wanted:
            normaliser += math.exp(float(logits[row]) - expected)
    return (math.log(normaliser) - float(logits[wanted].mean())), len(wanted)


def test_a_labelled_task_is_cross_entropy_of_the_next_moment(params):
    torch.manual_seed(1)
    events = tiny_batches.data([9, 14], NUM_ITEMS)
    source, batch = tiny_batches.whole(events)
    config = tiny_batches.config(positives=20, moments=20, negatives=4)
    sampler = sampler_lib.Sampler(source.item_counts(), config.training)
    tokens = batches.tokens(config.model, params, batch)
    x, traces = masked.events(config.model, params, tokens, reference.keep,
                              batch.clock)
    users = reference.user_vector(params, x)
    model = models.Model(config.model, NUM_ITEMS)
    found = losses.target_aware_loss(
        model, params, source, sampler, batch, traces, users,
        torch.zeros_like(batch.valid), reference.keep)
    terms = []
    for user in range(2):
        begin = events.offsets[user]
        state = reference.empty_state(config.model, torch.float64)
        for before, moment in zip([None, *_moments(events, user)],
                                  _moments(events, user)):
            if before is None:
                before = moment
                continue
            for column in before:
                index = begin + column
                state = reference.append(
                    config.model, params, state, reference.Event(
                        int(events.rows[index]), int(events.actions[index]),
                        int(events.times_us[index])))
            for index in begin + moment:
                label = events.labels[index, 0]
                if not np.isnan(label):
                    logit, _ = reference.rank(
                        config.model, params, state,
                        int(events.times_us[index]),
                        torch.tensor([int(events.rows[index])]))
                    p = torch.sigmoid(logit[0, 0])
                    terms.append(-(p if label else 1 - p).log())
    assert float(found) == pytest.approx(
        float(torch.stack(terms).mean()), rel=1e-5)


def test_a_step_that_can_be_recorded_makes_no_tensor_of_numbers(monkeypatch):
    """What Python knows would have to be copied to the GPU, which a recorded
    step cannot do."""
    config = tiny_batches.config(
        model={'target_aware': 'TARGET_AWARE_OFF', 'head_width': 0},
        target_actions=['buy'])
    events = tiny_batches.data([9, 14], NUM_ITEMS, ordered=True)
    events.labels[:] = np.nan
    source, batch = tiny_batches.whole(events)
    assert steps.has_fixed_shapes(source, config, NUM_ITEMS)
    model = models.Model(config.model, NUM_ITEMS)
    is_target = steps.targets_of(config, 'cpu')

    def refuse(*_, **__):
        raise AssertionError('a tensor of numbers is made')
    for name in ('tensor', 'from_numpy', 'asarray'):
        monkeypatch.setattr(torch, name, refuse)
    monkeypatch.setattr(torch.Tensor, 'new_tensor', refuse)
    dot, *_ = steps.step_losses(model, source, None, config, is_target, batch)
    dot.backward()


def test_targets_are_looked_up_where_the_batch_is():
    """Nothing of a step is made anew: a step that is recorded on a GPU
    cannot bring a tensor there."""
    config = tiny_batches.config(target_actions=['buy'])
    assert steps.targets_of(config, 'cpu').tolist() == [False, True]
    assert steps.targets_of(config, 'meta').device.type == 'meta'
    every = tiny_batches.config()
    assert steps.targets_of(every, 'cpu').tolist() == [True, True]
