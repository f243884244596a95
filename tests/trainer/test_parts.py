"""What is trained on, what chooses the model, and what tests it."""

import dataclasses
import json

import numpy as np
import pytest

import tiny_batches
from tiny_model import MODEL
from trainer import checkpoint
from trainer import evaluations
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
    assert _asked_days(found.validation) == {27}
    every = dataclasses.replace(HOW, every_moment=True)
    found = parts.cut(tiny_batches.config(), _data(), every)
    assert _asked_days(found.validation) == {27, 28, 29}
    assert _asked_days(found.make_test()) == set(range(30, 40))
    assert found.notes == []


def test_without_held_out_events_nothing_tests():
    found = parts.cut(tiny_batches.config(), _data(cut_day=None), HOW)
    assert _days(found.events) == list(range(36))
    assert _asked_days(found.validation) == {36}
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
    assert _asked_days(found.validation) == {20}
    assert _asked_days(found.make_test()) == {30}


def test_a_date_cuts_the_validation_part():
    found = parts.cut(tiny_batches.config(), _data(), HOW, until='1970-01-11')
    assert _days(found.events) == list(range(10))
    assert _asked_days(found.validation) == {10}
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


def test_so_many_users_validate_at_most():
    data = _data()
    data.labels[:] = np.arange(data.num_events)[:, None] % 2
    data = dataclasses.replace(data, labels=np.where(
        np.arange(data.num_events)[:, None] % 3 == 0, data.labels, np.nan))
    config = tiny_batches.config(validation_users=4)
    found = parts.cut(config, data, HOW)
    validation = found.validation
    # Every task has labels: they are asked about, of four users.
    assert validation.rankings is None
    assert len(validation._labels._users) == 4
    data.labels[:] = np.nan
    found = parts.cut(config, data, HOW)
    assert _users(found.validation, config) == 4
    assert len(set(found.validation.rankings._cases.users)) == 4
    assert _users(found.make_test(), config) == 6
    again = parts.cut(config, data, HOW)
    assert (again.validation.rankings._cases.users ==
            found.validation.rankings._cases.users).all()


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
    (_, final, _), _, _ = fit('--final', '--set', f'training.steps={steps}')
    for name, array in final.items():
        assert np.array_equal(array, tensors[name]), name
    assert not list(tmp_path.glob('out*/unfinished*'))
