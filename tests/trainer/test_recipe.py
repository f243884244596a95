"""What trainer/recipe.py chooses, and what it leaves alone."""

import dataclasses
import pathlib

import pytest

from trainer import config as config_lib
from trainer import data_facts
from trainer import dataset
from trainer import hyper as hyper_lib
from trainer import mechanisms
from trainer import recipe

CONFIGS = pathlib.Path(recipe.__file__).parent / 'configs'
DAY_S = 86_400
SHOP = data_facts.Facts(
    events=100_000, users=500, items=5_000, repeat_share=.4, moment_size=8.,
    return_s=(7 * DAY_S, 20 * DAY_S, 50 * DAY_S, 160 * DAY_S),
    rare_repeats=(0., 0., .01, .03, .05))
FILMS = data_facts.Facts(events=100_000, users=900, items=3_000)
CLICKS = data_facts.Facts(events=100_000, users=900, items=3_000,
                          labelled=True)
SIZES = (1_000, 50_000, 200_000, 500_000, 1_000_000, 5_000_000, 50_000_000)


def _config(**sections):
    return config_lib.from_dict({'name': 'x', **sections})


def _of_sizes(facts, **sections):
    config = _config(**sections)
    return [recipe.recommended(dataclasses.replace(
        facts, events=size, users=max(20, size // 100)), config)
        for size in SIZES]


@pytest.mark.parametrize('facts', [SHOP, FILMS])
def test_more_events_get_larger_batches_and_models_and_fewer_passes(facts):
    found = _of_sizes(facts)
    batches = [config.training.batch_events for config in found]
    layers = [config.model.num_layers for config in found]
    steps = [config.training.steps for config in found]
    passes = [step * batch / size for size, step, batch in
              zip(SIZES, steps, batches)]
    assert batches == sorted(batches) and batches[0] < batches[-1]
    assert layers == sorted(layers) and layers[0] < layers[-1]
    assert all(less < 1.01 * more for more, less in zip(passes, passes[1:]))
    assert steps == sorted(steps)
    assert passes[-1] > .99 and steps[0] >= 100 and steps[-1] < 20_000


def test_what_comes_again_is_remembered_for_as_long_as_that_takes():
    config = recipe.recommended(SHOP, _config())
    assert config.model.item_memory.half_lives_s == SHOP.return_s
    assert config.training.dropout == 0
    daily = dataclasses.replace(SHOP, return_s=(60, 60, 90, 1_000))
    lives = recipe.recommended(daily, _config()).model.item_memory.half_lives_s
    assert lives == (60, 120, 240, 1_000)


def test_what_is_new_every_time_is_ranked_by_the_dot_term():
    config = recipe.recommended(FILMS, _config())
    assert config.model.target_aware == hyper_lib.OFF
    assert config.model.item_memory is None
    assert config.training.recent_days == 30
    assert config.training.dot_scale < config_lib.Training().dot_scale


def test_what_comes_again_starts_from_counts():
    training = recipe.recommended(SHOP, _config()).training
    assert training.starts_from_counts and training.dot_share < 1
    assert training.choose_start_share
    given = recipe.recommended(SHOP, _config(training={'start_share': 0.}))
    assert not given.training.choose_start_share
    # A step of a huge catalogue has no dot term of all items to take from.
    huge = dataclasses.replace(SHOP, items=1_000_000, rows=1_000_000)
    training = recipe.recommended(huge, _config()).training
    assert training.starts_from_counts and training.dot_share == 1
    assert not training.choose_start_share
    # And nothing to start from where there is no memory.
    plain = recipe.recommended(SHOP, _config(model={'item_memory': False}))
    assert not plain.training.starts_from_counts


def test_last_events_are_not_taken_for_those_at_a_chosen_time():
    for facts in (SHOP, FILMS):
        by_time = recipe.recommended(facts, _config())
        last = recipe.recommended(facts, _config(data={'split': 'last'}))
        assert by_time.training.waiting_power > 0
        assert last.training.waiting_power == last.training.recent_days == 0


def test_candidate_features_are_read_whatever_the_data_is_like():
    for model in ({'candidate_features': ['price']}, {'item_memory': {}},
                  {'tasks': [{'name': 'next', 'dot_term': False}]}):
        config = recipe.recommended(FILMS, _config(model=model))
        assert config.model.target_aware == hyper_lib.DEDICATED_BLOCK
    assert config.model.tasks[0].dot_term is False


def test_labels_get_the_recipe_of_clicks():
    config = recipe.recommended(CLICKS, _config())
    assert config.model.target_aware == hyper_lib.ALL_LAYERS
    assert config.model.item_memory is None
    assert config.training.average_start and config.training.steps > 40


def test_rare_items_stay_where_much_of_what_comes_again_is_rare():
    for rare, least in (((0, 0, .01, .03, .05), 3), ((0,) * 5, 5),
                        ((0, .5, .6, .7, .8), 1), ((), 5)):
        facts = dataclasses.replace(SHOP, rare_repeats=rare)
        assert recipe.recommended(
            facts, _config()).data.min_item_count == least


def test_what_is_given_stays():
    given = {'data': {'min_item_count': 7},
             'model': {'num_layers': 3, 'item_memory': False,
                       'initial_half_lives': [1., 2., 3., 4.]},
             'training': {'epochs': 5, 'dropout': .25, 'negatives': 10}}
    for facts in (SHOP, FILMS, CLICKS):
        config = recipe.recommended(facts, _config(**given))
        assert config.data.min_item_count == 7
        assert config.model.num_layers == 3
        assert config.model.item_memory is None
        assert config.model.initial_half_lives == (1., 2., 3., 4.)
        assert (config.training.epochs, config.training.dropout,
                config.training.negatives) == (5, .25, 10)


@pytest.mark.parametrize('facts', [SHOP, FILMS, CLICKS])
def test_mechanisms_to_compare_with_keep_the_config_s_way_to_read(facts):
    for name in mechanisms.ALL[1:]:
        seeds = {}
        if name == mechanisms.SEEDS_ONLY:
            seeds = {'num_seeds': 8, 'summary_attention': True}
        plain = _config(model={'attention': name, **seeds})
        chosen = recipe.recommended(facts, plain)
        assert chosen.model == dataclasses.replace(
            plain.model, num_layers=chosen.model.num_layers,
            initial_half_lives=chosen.model.initial_half_lives), name
        assert chosen.model.initial_half_lives != (
            plain.model.initial_half_lives)


def test_what_the_command_line_sets_is_given():
    config = config_lib.with_overrides(
        _config(), ['training.epochs=5', 'training.dropout=0.3'])
    config = recipe.recommended(SHOP, config)
    assert (config.training.epochs, config.training.steps) == (5, None)
    assert config.training.dropout == .3
    assert config.training.learning_rate == 2e-3


@pytest.mark.parametrize('name', ['grocery', 'ml-1m', 'kuairand'])
@pytest.mark.parametrize('facts', [SHOP, FILMS, CLICKS])
def test_shipped_configs_leave_nothing_open(name, facts):
    config = config_lib.load(CONFIGS / f'{name}.toml')
    assert {*recipe.FIELDS} - {'training.steps'} <= config.given
    assert config.training.epochs
    assert recipe.recommended(facts, config) == config


@pytest.mark.parametrize('facts', [SHOP, FILMS, CLICKS])
def test_a_chosen_config_read_back_is_chosen_no_more(facts):
    chosen = recipe.recommended(facts, _config())
    read = config_lib.from_dict(chosen.to_dict())
    assert read == chosen
    for other in (SHOP, FILMS, CLICKS):
        assert recipe.recommended(other, read) == chosen


def test_only_the_listed_fields_are_chosen():
    for facts in (SHOP, FILMS, CLICKS):
        plain = _config()
        chosen = recipe.recommended(facts, plain)
        for section in ('data', 'model', 'training'):
            before, after = getattr(plain, section), getattr(chosen, section)
            for field in dataclasses.fields(before):
                if (f'{section}.{field.name}' not in recipe.FIELDS and
                        field.name != 'epochs'):
                    assert getattr(before, field.name) == getattr(
                        after, field.name), field.name


def _data(tmp_path, lines, **data):
    (tmp_path / 'train.csv').write_text(
        'user,item,time\n' + '\n'.join(','.join(map(str, line))
                                       for line in lines) + '\n')
    config = _config(data={'min_item_count': 1, **data})
    return dataset.read(config, tmp_path)


def test_facts_are_those_of_the_events(tmp_path):
    data = _data(tmp_path, [
        # A basket of three, one twice: no repeat; then 7 again.
        ('ann', 7, 100), ('ann', 7, 100), ('ann', 8, 100), ('ann', 7, 160),
        ('bob', 7, 100), ('bob', 9, 130), ('cat', 5, 500)])
    facts = data_facts.facts_of(data)
    assert (facts.events, facts.users, facts.items) == (7, 2, 4)
    assert facts.repeat_share == pytest.approx(1 / 7)
    assert facts.moment_size == 7 / 5
    assert facts.return_s == ()  # One return says nothing.
    assert facts.rare_repeats == (0, 0, 0, 0, 1)
    assert not facts.labelled


def test_held_out_events_are_no_facts(tmp_path):
    (tmp_path / 'later.csv').write_text('user,item,time\nann,7,900\n')
    data = _data(tmp_path, [('ann', 7, 100), ('ann', 8, 160)],
                 heldout=['later.csv'])
    facts = data_facts.facts_of(data)
    assert (facts.events, facts.repeat_share) == (2, 0)


def test_the_catalogue_is_the_chosen_one(tmp_path):
    # 6 comes again and again, but has two events of one user at most.
    lines = [(user, item, 100 * user + time) for user in range(40)
             for time, item in ((0, 100 + user), (50, 100 + user), (60, 7))]
    data = _data(tmp_path, lines)
    config, data, said = recipe.complete(_config(), data)
    assert config.data.min_item_count == 2
    assert len(data.item_ids) == 41
    assert said[0].startswith('recipe: items come again, as 33% of 120 events')


def test_an_item_table_may_be_larger_than_what_anybody_had(tmp_path):
    """Whether a step looks at all items is a matter of the rows there are."""
    (tmp_path / 'items.csv').write_text('item\n' + ''.join(
        f'{item}\n' for item in range(60)))
    lines = [(user, item, 100 * user + time) for user in range(9)
             for time, item in ((0, user), (50, user), (60, 7))]
    data = _data(tmp_path, lines, catalogue='items.csv')
    for most, share in ((60, .1), (59, 1.)):
        config, _, _ = recipe.complete(_config(
            data={'catalogue': 'items.csv'},
            training={'full_softmax_items': most}), data)
        assert config.training.starts_from_counts
        assert config.training.dot_share == share


def test_what_is_all_given_is_said_to_be(tmp_path):
    data = _data(tmp_path, [('ann', 7, 100), ('ann', 8, 160)])
    config, _, _ = recipe.complete(_config(), data)
    again = config_lib.from_dict(config.to_dict())
    assert recipe.complete(again, data)[2] == ['recipe: as the config has it']
