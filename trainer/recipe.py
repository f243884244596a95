"""The recipe: every setting that a config leaves open, chosen from the data.

What a file or --set gives stays as it is; docs/training.md says which data
gets what, and why. What is chosen is written into the config that goes on, so
that a trained model knows it and nothing is chosen twice.
"""

import dataclasses

import numpy as np

from trainer import data_facts
from trainer import hyper as hyper_lib
from trainer import mechanisms

# Below this share of repeats, items are taken to be had once.
REPEATS_FROM = .05
# Of the repeats, so many may be of items too rare for the catalogue.
_RARE_REPEATS = .02

# Events from which batches grow, and the model.
_SMALL, _LARGE = 300_000, 2_000_000

# How a server is asked: in users' long breaks more than in short ones, and
# always at a moment's beginning, of which there may be few.
_AS_ASKED = {'window': 1024, 'waiting_power': .3, 'same_moment_share': .2,
             'next_moment_weight': 2., 'label_smoothing': 0.}

# What may be chosen here.
FIELDS = (
    'data.min_item_count', 'model.num_layers', 'model.initial_half_lives',
    'model.target_aware', 'model.head_width', 'model.item_memory',
    'training.steps', 'training.batch_events', 'training.batch_samples',
    'training.window', 'training.learning_rate', 'training.average_decay',
    'training.average_start', 'training.random_windows', 'training.dropout',
    'training.label_smoothing', 'training.item_init_std',
    'training.dot_scale', 'training.dot_share', 'training.starts_from_counts',
    'training.choose_start_share',
    'training.waiting_power', 'training.recent_days',
    'training.next_moment_weight', 'training.same_moment_share',
    'training.target_aware_weight', 'training.moments', 'training.negatives',
    'training.moment_size_power', 'training.history_share',
    'training.popular_share')

# Kinds of data, each with a recipe of its own.
REPEATS = 'items come again'
NEW_ITEMS = 'items are new every time'
LABELS = 'labelled candidates'


def complete(config, data, is_prepared=False):
    """(Config with every field set, the Dataset with its catalogue, lines that
    say what was chosen) for a Dataset as a config reads it.

    is_prepared: the catalogue was chosen when the data were prepared.
    """
    facts = data_facts.facts_of(data)
    if is_prepared or config.data.catalogue:
        config = dataclasses.replace(
            config, given=config.given | {'data.min_item_count'})
    chosen = recommended(facts, config)
    least = chosen.data.min_item_count
    if least != config.data.min_item_count:
        known = slice(None)
        if data.cut_us >= 0:
            known = data.times_us < data.cut_us
        ids, counts = np.unique(data.items[known], return_counts=True)
        data = data.with_catalogue(ids[counts >= least])
    return chosen, data, _lines(facts, config, chosen)


def kind_of(facts):
    """One of REPEATS, NEW_ITEMS and LABELS."""
    if facts.labelled:
        return LABELS
    return REPEATS if facts.repeat_share >= REPEATS_FROM else NEW_ITEMS


def recommended(facts, config):
    """A Config with the fields that `config` was not given chosen for Facts.

    Raises ValueError where a given field contradicts what is chosen.
    """
    kind = kind_of(facts)
    data = _replaced(config, 'data', {'min_item_count': _item_count(facts)})
    model = _replaced(config, 'model', _model(kind, facts, config))
    training = _training(kind, facts, model, config)
    if config.data.split == 'last':
        # Users' last events are at no time that somebody chose.
        training.update(waiting_power=0., recent_days=0.)
    training = _replaced(config, 'training', training)
    if not {'training.epochs', 'training.steps'} & config.given:
        training = dataclasses.replace(
            training, epochs=None, steps=_steps(kind, facts, training))
    return dataclasses.replace(config, data=data, model=model,
                               training=training)


def _replaced(config, section, values):
    """A section with those values that the config was not given."""
    return dataclasses.replace(getattr(config, section), **{
        name: value for name, value in values.items()
        if f'{section}.{name}' not in config.given})


def _item_count(facts):
    """The most, up to 5, that leaves nearly all repeats in the catalogue."""
    fitting = [least for least, rare in enumerate(facts.rare_repeats, 1)
               if rare <= _RARE_REPEATS]
    return max(fitting, default=5)


def _model(kind, facts, config):
    """Values of fields of Hyper."""
    hyper, given = config.model, config.given
    deep = facts.events >= _LARGE and kind != LABELS
    values = {
        'num_layers': 4 if deep else 2,
        'initial_half_lives': _half_lives(facts, hyper.num_heads)}
    if hyper.peer or hyper.attention != mechanisms.QLA:
        return values
    target_aware = hyper.target_aware
    if 'model.target_aware' not in given:
        values['target_aware'] = target_aware = _target_aware(kind, config)
    if target_aware == hyper_lib.OFF:
        values.update(head_width=0, item_memory=None)
    elif kind == REPEATS:
        values['item_memory'] = hyper_lib.ItemMemory(
            half_lives_s=_half_lives_s(facts))
    return values


def _target_aware(kind, config):
    """Whether, and how, candidates read the state."""
    if kind == LABELS:
        return hyper_lib.ALL_LAYERS
    needs_it = {'candidate_features', 'context_features', 'summary_attention',
                'item_memory', 'head_width'}
    asked = any(getattr(config.model, name) and f'model.{name}' in config.given
                for name in needs_it)
    asked |= not all(task.dot_term for task in config.model.tasks)
    if kind == REPEATS or asked:
        return hyper_lib.DEDICATED_BLOCK
    return hyper_lib.OFF


def _half_lives(facts, num_heads):
    """In events, one a head: from the last moment to the whole history."""
    shortest = max(1., facts.moment_size / 2)
    lives = np.geomspace(shortest, max(1000., 200 * facts.moment_size),
                         num_heads)
    return tuple(round(float(life), 1) for life in lives)


def _half_lives_s(facts):
    """Of decayed counts: when items come again, each at least twice as long
    as the one before."""
    lives = []
    for second in facts.return_s or hyper_lib.ItemMemory().half_lives_s:
        lives.append(max(1, second, 2 * lives[-1] if lives else 1))
    return tuple(lives)


def _training(kind, facts, model, config):
    """Values of fields of Training, but for its length."""
    batch_events = _batch_events(facts)
    values = {'batch_events': batch_events, 'learning_rate': 2e-3,
              'average_decay': .999 if kind != LABELS else 0.}
    if kind == LABELS:
        # docs/kuairand.md has what each gives.
        return {**values, 'dropout': .1, 'average_start': True,
                'random_windows': 0., 'window': 256,
                'batch_samples': batch_events // 8}
    values.update(_AS_ASKED, batch_samples=batch_events // 32)
    if kind == NEW_ITEMS:
        values.update(window=256, dropout=.2, recent_days=30.,
                      label_smoothing=.1, next_moment_weight=1.,
                      same_moment_share=1.)
        if model.target_aware == hyper_lib.OFF:
            values['batch_samples'] = batch_events // 8
    if model.target_aware != hyper_lib.OFF:
        values.update(_candidates(kind, facts, values))
    else:
        values.update(dot_scale=2.)
    if model.item_memory:
        # What is simple is a good ranking, so training begins there; what it
        # knows little of, a few items' embeddings, begins small.
        knows_all = _knows_all_items(facts, config)
        values.update(starts_from_counts=True, item_init_std=.05,
                      dot_share=.1 if knows_all else 1.,
                      choose_start_share=knows_all and
                      'training.start_share' not in config.given)
    return values


def _knows_all_items(facts, config):
    """Whether every step looks at the whole catalogue, as a learned share of
    the dot term must."""
    return facts.rows <= config.training.full_softmax_items


def _candidates(kind, facts, values):
    """Of the target-aware term."""
    samples = min(values['batch_samples'], values['batch_events'] / max(
        2., min(values['window'], facts.events / max(1, facts.users))))
    # As many moments a step, however many samples they come from.
    moments = values['batch_events'] / 64 / max(1., samples)
    found = {'moments': int(min(8, max(1, round(moments)))),
             'moment_size_power': .5, 'item_init_std': .2,
             'negatives': min(384, max(32, facts.items // 4))}
    if kind == REPEATS:
        # What decides is the order of a user's own items, and dropout blurs
        # which item is which.
        found.update(dropout=0., target_aware_weight=3., history_share=.5,
                     popular_share=.3)
    return found


def _batch_events(facts):
    """Small data needs many steps more than it needs quiet ones."""
    if facts.events < _SMALL:
        return 4_096
    return 8_192 if facts.events < _LARGE else 16_384


def _steps(kind, facts, training):
    """As many as all events take to be seen some times: fewer times, the more
    events there are."""
    most, fewest = {REPEATS: (12, 500), NEW_ITEMS: (6, 100),
                    LABELS: (2, 1)}[kind]
    passes = max(1., most * min(1., (_LARGE / max(1, facts.events)) ** .5))
    a_pass = max(facts.events / training.batch_events,
                 facts.users / training.batch_samples, 1.)
    return max(fewest, round(passes * a_pass))


def _lines(facts, config, chosen):
    """What was chosen, for people to read."""
    lines = []
    for section in ('data', 'model', 'training'):
        after = getattr(chosen, section)
        names = [name for name in chosen_fields(section)
                 if getattr(after, name) != getattr(getattr(config, section),
                                                    name)]
        if names:
            lines.append(f'  {section}: ' + ' '.join(
                f'{name}={_text(getattr(after, name))}' for name in names))
    if not lines:
        return ['recipe: as the config has it']
    return [f'recipe: {kind_of(facts)}, as {facts.repeat_share:.0%} of '
            f'{facts.events:,} events show ({facts.users:,} users, '
            f'{facts.items:,} items, {facts.moment_size:.1f} events a moment)',
            *lines]


def chosen_fields(section):
    """Names of the FIELDS of 'data', 'model' or 'training'."""
    return [field.removeprefix(f'{section}.') for field in FIELDS
            if field.startswith(f'{section}.')]


def _text(value):
    if isinstance(value, hyper_lib.ItemMemory):
        return f'{value.entries} items, half-lives {value.half_lives_s} s'
    return f'{value}'
