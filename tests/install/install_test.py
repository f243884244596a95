"""`cmake --install` installs what runs, and a build without a preset is
optimised. QLARANK_BUILD is a build folder, QLARANK_CMAKE the cmake to use."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CMAKE = os.environ.get('QLARANK_CMAKE', 'cmake')


def output(*command, cwd=ROOT):
    return subprocess.run(list(map(str, command)), cwd=cwd, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True).stdout


class Install(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.prefix = pathlib.Path(cls.folder.name)
        output(CMAKE, '--install', os.environ['QLARANK_BUILD'], '--prefix',
               cls.prefix)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_the_server_takes_the_example_that_comes_with_it(self):
        # Beside the models that it names.
        self.assertIn('ok', output(self.prefix / 'bin/qlarank_server',
                                   '--config_file=example.textproto',
                                   '--validate_config',
                                   cwd=self.prefix / 'share/qlarank'))

    def test_the_tool_reads_the_model_that_comes_with_it(self):
        model = self.prefix / 'share/qlarank/models/grocery/1'
        self.assertIn('grocery', output(self.prefix / 'bin/qlarank', 'model',
                                        'inspect', model, cwd='/'))

    def test_the_docs_are_there(self):
        docs = self.prefix / 'share/doc/qlarank'
        for name in ('README.md', 'LICENSE', 'docs/operations.md'):
            self.assertTrue((docs / name).is_file(), name)

    def test_nothing_of_the_tests_is_installed(self):
        self.assertEqual(sorted(path.name for path in
                                (self.prefix / 'bin').iterdir()),
                         ['qlarank', 'qlarank_server'])

    def test_help_names_no_folder_of_whoever_compiled_it(self):
        # absl's --help exits with 1.
        said = subprocess.run([self.prefix / 'bin/qlarank_server', '--help'],
                              check=False, capture_output=True,
                              text=True).stdout
        self.assertIn('Flags from server/main.cc:', said)


class WithoutAPreset(unittest.TestCase):

    def test_is_optimised_and_says_so(self):
        with tempfile.TemporaryDirectory() as build:
            said = output(CMAKE, '-G', 'Ninja', '-S', ROOT, '-B', build,
                          '-DQLARANK_BUILD_TESTS=OFF',
                          '-DQLARANK_BUILD_BENCHMARKS=OFF')
            self.assertIn('No CMAKE_BUILD_TYPE was given: building Release',
                          said)
            cache = (pathlib.Path(build) / 'CMakeCache.txt').read_text()
            self.assertIn('CMAKE_BUILD_TYPE:STRING=Release', cache)


if __name__ == '__main__':
    unittest.main()
