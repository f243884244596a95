"""`pip install ./trainer` makes a package that works from anywhere."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from tiny_model import MODEL

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Trains nothing: the model that training would begin with.
CONFIG = '''
name = "tiny"
[data]
min_item_count = 1
''' + MODEL + '''[training]
steps = 0
'''


@pytest.fixture(name='installed', scope='module')
def _installed(tmp_path_factory):
    """A folder with the package, as pip would unpack its wheel."""
    pytest.importorskip('setuptools')
    folder = tmp_path_factory.mktemp('package')
    # A build leaves files beside what it builds.
    shutil.copytree(ROOT / 'trainer', folder / 'source',
                    ignore=shutil.ignore_patterns('__pycache__'))
    _run(folder, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-index',
         '--no-build-isolation', '--disable-pip-version-check',
         '--wheel-dir', folder, folder / 'source')
    wheel, = folder.glob('qlarank_trainer-*.whl')
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder / 'site')
    return folder / 'site'


def _run(folder, *arguments, path=''):
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=folder,
                          env={'PYTHONPATH': str(path), 'PATH': '/nowhere',
                               'OMP_NUM_THREADS': '1'},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_says_what_it_can_do(installed, tmp_path):
    printed = _run(tmp_path, '-m', 'trainer', '--help', path=installed)
    assert 'Trains, evaluates and exports' in printed
    assert (installed / 'trainer/configs/grocery.toml').exists()


def test_it_exports_and_reads_a_bundle(installed, tmp_path):
    """Without protoc, and without the repository."""
    (tmp_path / 'config.toml').write_text(CONFIG)
    (tmp_path / 'train.csv').write_text(
        'user,item,time\n' + ''.join(f'u{index % 3},{7 + index % 4},{index}\n'
                                     for index in range(30)))
    trainer = '-m', 'trainer'
    _run(tmp_path, *trainer, 'train', '--config', 'config.toml', '--data', '.',
         '--out', 'run', '--quiet', '--device', 'cpu', path=installed)
    _run(tmp_path, *trainer, 'export', '--model', 'run/model.npz', '--out',
         'models', path=installed)
    printed = _run(
        tmp_path, '-c', 'import trainer.export as export; '
        'print(export.__file__, export.read("models/tiny/1").hyper.d_model)',
        path=installed)
    assert printed == f'{installed}/trainer/export.py 16\n'
