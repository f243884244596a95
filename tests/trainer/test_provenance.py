"""What a training leaves of itself is enough to know what it was."""

import json
import subprocess

import pytest

from tiny_model import MODEL
from trainer import config as config_lib
from trainer import provenance
from trainer.__main__ import main

CONFIG = 'name = "tiny"\n[data]\nmin_item_count = 1\n' + MODEL + (
    'actions = ["buy"]\n[training]\nepochs = 1\n')


def _config(text=CONFIG, *overrides):
    import tomllib
    return config_lib.with_overrides(
        config_lib.from_dict(tomllib.loads(text)), overrides)


def test_seeds_of_a_configuration_share_a_digest():
    one, two = (_config(CONFIG, f'training.seed={seed}') for seed in (1, 2))
    assert provenance.config_digest(one.to_dict()) == (
        provenance.config_digest(two.to_dict()))
    for change in ('training.epochs=2', 'model.phi2=PHI2_SILU',
                   'data.min_item_count=2'):
        assert provenance.config_digest(_config(CONFIG, change).to_dict()) != (
            provenance.config_digest(one.to_dict())), change


def test_a_digest_is_that_of_the_json_it_is_kept_as():
    values = _config().to_dict()
    assert provenance.config_digest(json.loads(json.dumps(values))) == (
        provenance.config_digest(values))


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        subprocess.run(['git', '-C', str(tmp_path), '-c', 'user.name=x', '-c',
                        'user.email=x', *arguments], check=True,
                       stdout=subprocess.DEVNULL)
    (tmp_path / 'trainer').mkdir()
    (tmp_path / 'trainer/train.py').write_text('')
    git('init')
    git('add', '.')
    git('commit', '-m', 'x')
    return tmp_path


def test_the_commit_says_whether_the_code_was_changed(repository):
    found = provenance.commit(repository, {})
    assert len(found['commit']) == 40 and found['changed'] is False
    # What is no code of the trainer changes nothing.
    (repository / 'notes.md').write_text('x')
    assert provenance.commit(repository, {}) == found
    (repository / 'trainer/new.py').write_text('x')
    assert provenance.commit(repository, {}) == {**found, 'changed': True}


def test_a_variable_knows_better_than_git(repository):
    found = provenance.commit(repository, {provenance.VARIABLE: 'abc'})
    assert found == {'commit': 'abc', 'changed': False, 'commit_given': True}


def test_a_copy_has_the_commit_it_is_given(repository):
    copy = repository / 'copy'  # Within a repository that it is none of.
    copy.mkdir()
    assert provenance.commit(copy, {}) == {'commit': 'unknown',
                                           'changed': None}
    assert provenance.commit(copy, {provenance.VARIABLE: 'abc'}) == {
        'commit': 'abc', 'changed': False, 'commit_given': True}
    assert provenance.commit(copy, {provenance.VARIABLE: 'abc+'}) == {
        'commit': 'abc', 'changed': True, 'commit_given': True}


def test_a_training_leaves_it(tmp_path, capsys):
    (tmp_path / 'config.toml').write_text(CONFIG)
    (tmp_path / 'train.csv').write_text('user,item,action,time\n' + ''.join(
        f'{user},{item},buy,{item}\n' for user in range(4)
        for item in range(5)))
    assert main(['train', '--config', str(tmp_path / 'config.toml'), '--data',
                 str(tmp_path), '--out', str(tmp_path / 'run'), '--device',
                 'cpu', '--final', '--quiet', '--set', 'training.seed=3']) == 0
    metrics = json.loads((tmp_path / 'run/metrics.json').read_text())
    found = metrics['provenance']
    assert set(found) >= {'commit', 'changed', 'pytorch', 'device', 'date'}
    assert found['seed'] == 3 and found['options'] == {'final': True}
    assert found['config_digest'] == provenance.config_digest(
        metrics['config'])
    assert found['date'].endswith('+00:00')
    assert metrics['parameters'] > 0 and metrics['seconds'] > 0
