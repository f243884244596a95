"""The rooms of server/ stand on each other in one order, and each can be read in
an afternoon.

A room includes files of its own and of rooms below it, so there is no circle;
what puts the server together lies in server/ itself and is included by no room.
"""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = ROOT / 'server'
# From the ground up.
ROOMS = ('metrics', 'ops', 'security', 'request_log', 'work', 'models',
         'catalogue', 'states', 'partition', 'upkeep', 'ingest', 'rank',
         'compare', 'rollout', 'rpc')
# Side by side: neither knows of the other.
BESIDE = (('ingest', 'rank'), ('ingest', 'upkeep'), ('rank', 'upkeep'),
          ('ingest', 'rollout'), ('upkeep', 'rollout'), ('ingest', 'compare'),
          ('upkeep', 'compare'), ('compare', 'rollout'))
MOST_LINES = 2600
INCLUDE = re.compile(r'#include "server/([\w/]+)\.h"')


def sources(folder):
    return sorted([*folder.glob('*.h'), *folder.glob('*.cc')])


def included(room):
    """(file, what it includes of server/) for each include of a room."""
    return [(path.name, name)
            for path in sources(SERVER / room)
            for name in INCLUDE.findall(path.read_text())]


class RoomsTest(unittest.TestCase):

    def test_every_folder_is_a_room_with_a_readme(self):
        folders = {path.name for path in SERVER.iterdir() if path.is_dir()}
        self.assertEqual(folders, set(ROOMS))
        for room in ROOMS:
            readme = SERVER / room / 'README.md'
            self.assertTrue(readme.is_file(), readme)
            self.assertLess(len(readme.read_text().splitlines()), 60, readme)

    def test_includes_run_downward(self):
        for room in ROOMS:
            below = set(ROOMS[:ROOMS.index(room) + 1])
            for pair in BESIDE:
                if room in pair:
                    below -= set(pair) - {room}
            for file, name in included(room):
                with self.subTest(room=room, file=file, includes=name):
                    self.assertIn('/', name, 'of what puts the server together')
                    self.assertIn(name.split('/')[0], below)

    def test_store_and_model_know_nothing_of_the_server(self):
        for folder in ('state_store', 'model', 'config'):
            for path in sources(ROOT / folder):
                with self.subTest(file=path.name):
                    self.assertIsNone(INCLUDE.search(path.read_text()))

    def test_a_room_can_be_read(self):
        for room in ROOMS:
            lines = sum(len(path.read_text().splitlines())
                        for path in sources(SERVER / room))
            with self.subTest(room=room):
                self.assertLessEqual(lines, MOST_LINES)


if __name__ == '__main__':
    unittest.main()
