"""./run bench swap and migration measure a real server: a short swap, and a
migration of 2,000 users. What they find of speed says nothing in a debug build."""

import contextlib
import os
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True
os.chdir(ROOT)

from bench.performance import context as context_lib  # noqa: E402
from bench.performance import migration, swap  # noqa: E402


@contextlib.contextmanager
def changed(module, **values):
    with contextlib.ExitStack() as stack:
        for name, value in values.items():
            stack.enter_context(unittest.mock.patch.object(module, name, value))
        yield


@unittest.skipUnless('QLARANK_BUILD' in os.environ,
                     'QLARANK_BUILD, the folder of a build, is not set')
class RunTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.context = context_lib.Context(os.environ['QLARANK_BUILD'],
                                           folder.name, users=2000)

    def test_swap(self):
        with changed(swap, ROUNDS=1, SECONDS=2, WARM_UP=.5, LEAD=.2, USERS=50,
                     EVENTS=1000, CANDIDATES=64):
            result = swap.run(self.context)
        found = {figure.name: figure for figure in result.figures}
        for name, figure in found.items():
            self.assertIsNotNone(figure.value, name)
        self.assertEqual(found['errors'].value, 0)
        for window in result.data['rounds'][0].values():
            self.assertGreater(window['completed'], 0)

    def test_migration(self):
        with changed(migration, DEFAULT_USERS=2000, EVENTS_EACH=80,
                     LOAD='load:open:5:64', LOAD_SECONDS=2):
            result = migration.run(self.context)
        found = {figure.name: figure for figure in result.figures}
        for name in ('states that differ from a fold of the log',
                     "replies that differ from their version's afterwards",
                     'errors'):
            self.assertEqual(found[name].value, 0, name)
        for version in (2, 3):
            self.assertEqual(result.data['compared'][version]['same'], 2000)
            self.assertEqual(result.data['compared'][version]['events'], 160_000)
        self.assertEqual(set(result.data['replies']['by_version']), {'1', '3'})


if __name__ == '__main__':
    unittest.main()
