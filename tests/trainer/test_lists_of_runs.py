"""The lists of runs in trainer/configs are of configurations that there are."""

import pathlib

import pytest

from trainer import config as config_lib
from trainer import mechanisms
from trainer import sweep

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'trainer/configs'
ATTENTION = ('attention-ml-1m', 'attention-kuairand', 'attention-grocery')
# Config by list of runs.
LISTS = [('ml-1m', 'ml-1m'), ('kuairand', 'kuairand'),
         ('kuairand', 'kuairand_seeds'), ('grocery', 'grocery'),
         *((name, 'attention') for name in ATTENTION)]


def _configs(name, runs):
    """{run: Config with its first seed}."""
    base = config_lib.load(CONFIGS / f'{name}.toml')
    found = {}
    for run in sweep.load(CONFIGS / f'{runs}_runs.toml'):
        attention = [text.split('=')[1] for text in run.set
                     if text.startswith('model.attention=')]
        if not set(attention) <= set(mechanisms.ALL):
            continue
        # The dot term alone ranks there: nothing reads summaries.
        if run.name == 'seeds_only' and name == 'attention-ml-1m':
            continue
        found[run.name] = config_lib.with_overrides(base, run.set)
    return found


@pytest.mark.parametrize('name, runs', LISTS)
def test_every_run_is_another_configuration(name, runs):
    found = _configs(name, runs)
    assert len(found) > 3
    shapes = [repr(config) for config in found.values()]
    assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize('name', ATTENTION)
def test_mechanisms_are_compared_in_one_configuration(name):
    for config in _configs(name, 'attention').values():
        model = config.model
        assert (model.d_model, model.num_heads, model.num_layers,
                model.ffn_width, model.conv_width) == (64, 4, 4, 128, 4)
        assert not model.item_memory
