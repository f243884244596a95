"""How long a training is, when it stops, and which weights it keeps."""

import numpy as np
import pytest

import tiny_batches
from trainer import config as config_lib
from trainer import length
from trainer import stopping
from trainer import train
from trainer import unfinished


def _config(**training):
    return tiny_batches.config(**{
        'batch_events': 60, 'negatives': 8, 'moments': 2, 'positives': 2,
        'learning_rate': .01, 'average_decay': .5, **training})


def _data():
    data = tiny_batches.data([12, 20, 7, 15, 9, 30, 11, 8])
    data.labels[:] = np.nan
    return data


def _train(config, **more):
    return train.train(config, _data(), quiet=True, **more)


def test_steps_say_how_long(capsys):
    _, history = _train(_config(steps=23))
    # Rounds of a twentieth, and what is left.
    assert [record['step'] for record in history] == [*range(2, 23, 2), 23]
    assert history[-1]['learning_rate'] < .02 * .01  # The schedule's end.
    assert 'note: 23 steps are few' in capsys.readouterr().err


def test_epochs_say_how_long_too():
    _, history = _train(_config(epochs=3))
    assert [record['epoch'] for record in history] == [1, 2, 3]
    assert history[-1]['step'] == 3 * history[0]['step']


@pytest.mark.parametrize('how', [{'steps': 0}, {'epochs': 0}])
def test_nothing_is_the_initial_model(how):
    model, history = _train(_config(**how))
    assert history == []
    other, _ = _train(_config(steps=1))
    for name, array in model.to_arrays().items():
        assert np.isfinite(array).all()
    assert (model.to_arrays()['layers.0.w_qkvg'] !=
            other.to_arrays()['layers.0.w_qkvg']).any()


def test_one_of_both_is_given():
    with pytest.raises(ValueError, match='training.steps is 5 and '
                       'training.epochs is 2; give one of them'):
        _config(steps=5, epochs=2)
    with pytest.raises(ValueError, match='training.steps is -1'):
        _config(steps=-1)
    config = config_lib.with_overrides(_config(epochs=2),
                                       ['training.steps=5'])
    assert (config.training.steps, config.training.epochs) == (5, None)
    config = config_lib.with_overrides(config, ['training.epochs=7'])
    assert (config.training.steps, config.training.epochs) == (None, 7)


@pytest.mark.parametrize('total, warmup, words', [
    (999, .1, ['999 steps are few']),
    (1_000, .05, []),
    (1_000, .049, ['rises for 49 steps']),
    (20, .05, ['20 steps are few', 'rises for 1 step']),
    (1_000, 0., []), (0, .05, [])])
def test_a_short_training_is_told(total, warmup, words):
    notes = length.notes(_config(warmup_share=warmup).training, total)
    assert len(notes) == len(words)
    for note, word in zip(notes, words):
        assert word in note


class _Scripted:
    """A validation that says what it was told to, and keeps the weights."""

    def __init__(self, *figures):
        self.figures = list(figures)
        self.weights = []

    def __call__(self, hyper, params):
        self.weights.append({name: value.clone()
                             for name, value in params.items()})
        figure = self.figures[len(self.weights) - 1]
        return {'users': 1, 'model, dot term': {'ndcg@10': 1 - figure},
                'model, all terms': {'ndcg@10': figure}}


def test_the_best_weights_are_kept():
    validate = _Scripted(.1, .3, .2, .3)
    model, history = _train(_config(epochs=4), validate=validate,
                            validate_every=1)
    assert stopping.best(history)['epoch'] == 2
    for name, array in model.to_arrays().items():
        np.testing.assert_array_equal(array, validate.weights[1][name], name)


def test_training_stops_when_nothing_gets_better():
    validate = _Scripted(.1, .3, .2, .3, .25, .2)
    _, history = _train(_config(epochs=30, patience=3), validate=validate,
                        validate_every=2)
    assert [record['epoch'] for record in history] == [*range(1, 11)]
    assert [record['epoch'] for record in history
            if 'validation' in record] == [2, 4, 6, 8, 10]


def test_validations_are_about_twenty():
    validate = _Scripted(*np.linspace(0, 1, 100))
    _train(_config(epochs=42), validate=validate)
    assert len(validate.weights) == 21
    validate = _Scripted(.1)
    _, history = _train(_config(epochs=4), validate=validate,
                        validate_every=0)
    assert [('validation' in record) for record in history] == [
        False, False, False, True]


def _history(*figures):
    return [{'step': index, **({} if figure is None else {
        'validation': {'model, all terms': {'ndcg@10': figure}}})}
        for index, figure in enumerate(figures)]


@pytest.mark.parametrize('figures, patience, best, is_over', [
    ([], 2, None, False), ([None], 2, None, False),
    ([.1, .2], 2, 1, False), ([.2, .1], 2, 0, False),
    ([.2, .1, None, .2], 2, 0, True), ([.2, .1, .3, .1], 2, 2, False),
    ([.2, .1, .1, .1], 0, 0, False)])
def test_when_it_is_over(figures, patience, best, is_over):
    history = _history(*figures)
    found = stopping.best(history)
    assert (found and found['step']) == best
    assert stopping.is_over(history, patience) == is_over


def test_labels_are_compared_by_their_mean_ne():
    validation = {'users': 3, 'click': {'auc': .7, 'ne': .8},
                  'like': {'auc': .6, 'ne': .9}}
    assert stopping.figure(validation) == pytest.approx(-.85)
    validation['model, dot term'] = {'ndcg@10': .2}
    assert stopping.figure(validation) == .2


class _Interrupted(unfinished.Unfinished):
    """As if the process was killed after some saves."""

    saves_left = 7

    def save(self, state):
        super().save(state)
        self.saves_left -= 1
        if self.saves_left == 0:
            raise KeyboardInterrupt


def test_a_training_goes_on_in_the_middle_of_an_epoch(tmp_path):
    """And with the best weights of before, and their patience."""
    config, data = _config(steps=80, patience=4), _data()
    figures = [.1, .2, .5, .4, *np.linspace(.3, .6, 20)]

    def validate(hyper, params):
        seen = float(params['log_scale'])  # Says which round it is.
        return _Scripted(figures[rounds.setdefault(seen, len(rounds))])(
            hyper, params)
    rounds = {}
    whole, history = _train(config, validate=validate)
    # It ends by patience, seven validations in.
    assert len(history) == 7
    path, rounds = tmp_path / 'unfinished.pt', {}
    interrupted = _Interrupted(path, config, data)
    interrupted.saves_left = 5
    with pytest.raises(KeyboardInterrupt):
        _train(config, validate=validate, unfinished=interrupted)
    again, later = _train(config, validate=validate,
                          unfinished=unfinished.Unfinished(path, config, data))
    assert len(later) == 7
    assert any(record['epoch'] % 1 for record in later)
    for name, array in whole.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array, name)
