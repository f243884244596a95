"""What a config file may not say."""

import pytest

from trainer import config as config_lib


@pytest.mark.parametrize('values, message', [
    ({'dot_scale': 0.}, 'training.dot_scale is 0.0; it must be more than 0'),
    ({'dot_share': -.1}, 'training.dot_share is -0.1; it must be more than 0'),
    ({'starts_from_counts': True}, 'starts_from_counts needs model.item_memory'),
    ({'validation_share': 1.}, 'training.validation_share is 1.0'),
    ({'windows_per_user': 0}, 'training.windows_per_user is 0'),
    ({'validation_moments': 0}, 'training.validation_moments is 0; it must be '
     'at least 1'),
    ({'steps': -1}, 'training.steps is -1; it must be at least 0'),
    ({'steps': 1, 'epochs': 1}, 'training.steps is 1 and training.epochs is 1'),
    ({'popular_share': .5, 'history_share': .5}, 'is 1; it must be less than'),
    ({'reconstruction_weight': .1}, 'must be 0 without model.num_seeds')])
def test_a_field_out_of_bounds_is_named(values, message):
    with pytest.raises(ValueError) as raised:
        config_lib.from_dict({'name': 'x', 'training': values})
    assert message in str(raised.value)
