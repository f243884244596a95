"""What the tests of the whole path share: our programs and the trainer."""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


@pytest.fixture(scope='session')
def programs():
    """The server and the command line, from QLARANK_BUILD or build/dev."""
    from bench import local_server
    return local_server.built(os.environ.get('QLARANK_BUILD',
                                             ROOT / 'build/dev'))


@pytest.fixture
def run_trainer(capsys):
    """Runs `python -m trainer ARGUMENTS`; returns what it printed."""
    from trainer import __main__ as trainer_main

    def run(*arguments):
        status = trainer_main.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        assert status == 0, output.err
        return output.out
    return run
