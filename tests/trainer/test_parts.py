"""What is trained on, what chooses the model, and what tests it."""

import dataclasses
import json

import numpy as np
import pytest

import tiny_batches
from tiny_model import MODEL
from trainer import checkpoint
from trainer import evaluations
from trainer import metric_tables
from trainer import models
from trainer import parts
from trainer.__main__ import main

DAY_US = 86_400_000_000
HOW = evaluations.How()


def _data(users=6, days=40, cut_day=30):
    """An event of each user on each day, at another second."""
    events = tiny_batches.data([days] * users, unknown=0.)
    times = np.arange(days) * DAY_US + np.arange(users)[:, None] * 1_000_000
    return dataclasses.replace(
        events, times_us=times.ravel(), cut_us=cut_day * DAY_US
        if cut_day else -1, labels=np.full_like(events.labels, np.nan))


def _days(events):
    return sorted(set(events.times_us // DAY_US))


def _users(evaluation, config):
    model = models.Model(config.model, 12)
    return evaluation(config.model, model.params())['users']


def _asked_days(evaluation):
    """Days of the events that an Evaluation wants found."""
    found = evaluation.rankings._cases
    times_us = evaluation.rankings._source.columns['times_us']
    return {int(times_us[event]) // DAY_US
            for events in found.targets for event in events}


def test_the_newest_tenth_of_the_training_events_validates():
    found = parts.cut(tiny_batches.config(), _data(), HOW)
    assert _days(found.events) == list(range(27))
    # Six first moments are few: all others, too.
    assert _asked_days(found.validation) == {27, 28, 29}
    assert _asked_days(found.make_test()) == {30}
    assert found.notes == []


def test_all_moments_are_those_of_the_test_part():
    config = tiny_batches.config(validation_moments=6)
    every = dataclasses.replace(HOW, every_moment=True)
    found = parts.cut(config, _data(), every)
    assert _asked_days(found.validation) == {27}
    assert _asked_days(found.make_test()) == set(range(30, 40))


def test_without_held_out_events_nothing_tests():
    found = parts.cut(tiny_batches.config(), _data(cut_day=None), HOW)
    assert _days(found.events) == list(range(36))
    assert _asked_days(found.validation) == set(range(36, 40))
    assert found.make_test is None


@pytest.mark.parametrize('data, config, days', [
    (_data(), {}, 30), (_data(cut_day=None), {}, 40),
    (_data(cut_day=20), {'validate_from': '1970-01-21',
                         'test_from': '1970-01-31'}, 30)],
    ids=['held out', 'all', 'one file'])
def test_final_trains_on_all_that_is_not_held_out(data, config, days):
    found = parts.cut(tiny_batches.config(data=config), data, HOW, final=True)
    assert _days(found.events) == list(range(days))
    assert found.validation is None


def test_a_share_of_nothing_validates_nothing():
    config = tiny_batches.config(validation_share=0.)
    found = parts.cut(config, _data(), HOW)
    assert _days(found.events) == list(range(30))
    assert found.validation is None and found.notes == []


def test_one_file_is_cut_where_the_config_says():
    config = tiny_batches.config(data={'validate_from': '1970-01-21',
                                       'test_from': '1970-01-31'})
    found = parts.cut(config, _data(cut_day=20), HOW)
    assert _days(found.events) == list(range(20))
    assert _asked_days(found.validation) == set(range(20, 30))
    assert _asked_days(found.make_test()) == {30}


def test_a_date_cuts_the_validation_part():
    found = parts.cut(tiny_batches.config(), _data(), HOW, until='1970-01-11')
    assert _days(found.events) == list(range(10))
    assert _asked_days(found.validation) == set(range(10, 30))
    with pytest.raises(ValueError, match='--until: with --final'):
        parts.cut(tiny_batches.config(), _data(), HOW, '1970-01-11', True)


def test_the_last_event_but_one_validates_where_the_last_is_held_out():
    config = tiny_batches.config(data={'split': 'last'})
    data = _data(cut_day=None)
    found = parts.cut(config, data, HOW)
    assert _days(found.events) == list(range(38))
    assert _asked_days(found.validation) == {38}
    assert _asked_days(found.make_test()) == {39}
    found = parts.cut(config, data, HOW, final=True)
    assert _days(found.events) == list(range(39))
    assert found.validation is None
    assert _asked_days(found.make_test()) == {39}


def test_of_more_users_than_moments_so_many_validate():
    data = _data()
    data.labels[:] = np.arange(data.num_events)[:, None] % 2
    data = dataclasses.replace(data, labels=np.where(
        np.arange(data.num_events)[:, None] % 3 == 0, data.labels, np.nan))
    config = tiny_batches.config(validation_moments=4)
    found = parts.cut(config, data, HOW)
    validation = found.validation
    # Every task has labels: they are asked about, of four users.
    assert validation.rankings is None
    assert len(validation._labels._users) == 4
    data.labels[:] = np.nan
    found = parts.cut(config, data, HOW)
    assert _users(found.validation, config) == 4
    assert len(set(found.validation.rankings._cases.users)) == 4
    assert _asked_days(found.validation) == {27}
    assert _users(found.make_test(), config) == 6
    again = parts.cut(config, data, HOW)
    assert (again.validation.rankings._cases.users ==
            found.validation.rankings._cases.users).all()


def _asked(evaluation):
    """(user, day) of each moment that an Evaluation asks about."""
    found = evaluation.rankings._cases
    times_us = evaluation.rankings._source.columns['times_us']
    return [(user, int(times_us[events[0]]) // DAY_US) for user, events in
            zip(found.users.tolist(), found.targets)]


@pytest.mark.parametrize('moments', [6, 7, 11, 18, 100])
def test_of_fewer_users_than_moments_further_ones_validate(moments):
    """Six users with three days each after the cut, and one who is new."""
    data = _data(users=7)
    data = data._keep((data.times_us >= 27 * DAY_US) | (
        np.repeat(np.arange(7), 40) < 6))
    config = tiny_batches.config(validation_moments=moments)
    found = parts.cut(config, data, HOW, until='1970-01-28').validation
    asked = _asked(found)
    assert len(asked) == len(set(asked)) == min(moments, 18)
    firsts = {(f'u{user}', 27) for user in range(6)}
    assert firsts <= set(asked)
    assert {user for user, _ in asked} == {user for user, _ in firsts}
    assert asked == sorted(asked)
    assert _asked(parts.cut(config, data, HOW,
                            until='1970-01-28').validation) == asked
    # Each knows what came before it, the part's own events among it.
    cases = found.rankings._cases
    assert cases.lengths.tolist() == [day for _, day in asked]
    metrics = found(config.model, models.Model(config.model, 12).params())
    assert (metrics['users'], metrics['moments']) == (6, len(asked))
    assert metric_tables.lines(metrics)[0] == '6 users' + (
        f', {len(asked)} moments' if len(asked) > 6 else '')


def test_further_moments_are_drawn_evenly():
    """Of every user's, and not by how soon they come."""
    data = _data(users=40)
    config = tiny_batches.config(validation_moments=320)
    users, further = zip(*((user, day) for user, day in _asked(parts.cut(
        config, data, HOW, until='1970-01-11').validation) if day > 10))
    assert len(further) == 280 and len(set(users)) == 40
    assert np.mean(further) == pytest.approx(20, abs=1.)  # Of 11 to 29.
    assert np.std(further) == pytest.approx(5.5, abs=.5)


def test_a_basket_is_one_moment():
    """Two users with events in pairs of one time."""
    data = _data(users=2)
    data.times_us[:] = data.times_us // (2 * DAY_US) * (2 * DAY_US)
    config = tiny_batches.config(validation_moments=5)
    found = parts.cut(config, data, HOW, until='1970-01-21').validation
    # Days 20, 22, ... 28 of each; five are asked about.
    asked = _asked(found)
    assert len(set(asked)) == 5 and {('u0', 20), ('u1', 20)} < set(asked)
    assert not any(day % 2 for _, day in asked)
    assert (found.rankings._cases.lengths % 2 == 0).all()


def test_leave_one_out_has_no_further_moments():
    config = tiny_batches.config(data={'split': 'last'})
    found = parts.cut(config, _data(cut_day=None), HOW)
    assert len(_asked(found.validation)) == 6
    config = tiny_batches.config(data={'split': 'last'}, validation_moments=4)
    found = parts.cut(config, _data(cut_day=None), HOW)
    assert len(_asked(found.validation)) == 4


def test_who_cannot_be_validated_is_trained_on_and_told():
    """Everybody's events are at one time."""
    data = dataclasses.replace(_data(cut_day=None),
                               times_us=np.zeros(240, np.int64))
    found = parts.cut(tiny_batches.config(), data, HOW)
    assert found.events.num_events == 240 and found.validation is None
    assert found.notes[0].startswith('note: no validation part is cut off')


def test_a_refit_is_of_all_that_is_not_held_out(tmp_path, capsys):
    lines = [f'{user},{item},{day * 86_400 + user}' for user in range(30)
             for day, item in enumerate(np.random.default_rng(user).integers(
                 1, 9, 40))]
    (tmp_path / 'train.csv').write_text('user,item,time\n' + '\n'.join(lines))
    (tmp_path / 'x.toml').write_text(
        f'name = "x"{MODEL}[training]\nsteps = 12\nbatch_events = 256\n'
        'patience = 0\n')

    def fit(*options):
        out = tmp_path / '-'.join(('out', *options))
        assert main(['train', '--config', str(tmp_path / 'x.toml'), '--data',
                     str(tmp_path), '--out', str(out), '--quiet',
                     *options]) == 0
        return checkpoint.load(out / 'model.npz'), json.loads(
            (out / 'metrics.json').read_text()), capsys.readouterr().out
    (_, _, chosen), metrics, _ = fit()
    (config, tensors, refit), same, said = fit('--refit')
    best = same['best_step']
    assert (best, refit) == (metrics['best_step'], chosen)
    # A tenth of 1,200 events chose.
    steps = round(best * 1_200 / 1_080)
    assert f'again on all 1,200 events that are not held out: {steps} ' in said
    assert config.training.steps == steps
    share = same['start_share']
    assert config.training.start_share == share == metrics['start_share']
    (_, final, _), _, _ = fit('--final', '--set', f'training.steps={steps}',
                              '--set', f'training.start_share={share}')
    for name, array in final.items():
        assert np.array_equal(array, tensors[name]), name
    assert not list(tmp_path.glob('out*/unfinished*'))
