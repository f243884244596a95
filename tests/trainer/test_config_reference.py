"""The committed page on config files is what the code says."""

import dataclasses
import pathlib

import pytest

from trainer import config as config_lib
from trainer import config_reference
from trainer import hyper as hyper_lib
from trainer import training

PAGE = pathlib.Path(__file__).resolve().parents[2] / 'docs/config_reference.md'


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == config_reference.text(), (
        'run: python -m trainer reference --out docs/config_reference.md')


@pytest.mark.parametrize('kind', [config_lib.Data, config_lib.Training,
                                  hyper_lib.Hyper])
def test_every_field_is_explained(kind):
    groups = config_reference.groups(kind)
    assert [name for group in groups for name in group.fields] == [
        field.name for field in dataclasses.fields(kind)]
    for group in groups:
        assert group.text, group.fields


def test_what_no_length_means_is_said():
    length, *_ = config_reference.groups(config_lib.Training)
    assert f'{training.DEFAULT_EPOCHS} epochs' in length.text


@dataclasses.dataclass
class _Small:
    """Some.

    Raises ValueError.
    """
    # What one and
    # other are.
    one: int = 20_000
    other: str = 'x'
    # Alone.
    needed: tuple = dataclasses.field(default_factory=tuple)
    more: hyper_lib.Task = hyper_lib.Task('t', False)
    none: float = None


def test_a_comment_explains_what_follows_it():
    first, second = config_reference.groups(_Small)
    assert first == config_reference.Group({'one': '20_000', 'other': '"x"'},
                                           'What one and other are.')
    assert second.text == 'Alone.'
    assert second.fields == {
        'needed': '[]', 'none': 'not given',
        'more': '{ name = "t", dot_term = false, value_weight = 1.0 }'}
