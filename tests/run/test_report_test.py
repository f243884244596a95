"""scripts/test_report.py, on what a real CTest and a real pytest write."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests/executed'))
sys.dont_write_bytecode = True

import executed  # noqa: E402

# As gtest_discover_tests declares them, with what GoogleTest prints.
PROJECT = r'''
cmake_minimum_required(VERSION 3.25)
project(few NONE)
enable_testing()
function(test name)
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -P ${CMAKE_SOURCE_DIR}/${name}.cmake)
  set_tests_properties(${name} PROPERTIES
    SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
endfunction()
test(A.Runs)
test(A.Fails)
test(A.NeedsBf16)
test(B.NeedsBf16)
test(B.SaysNothing)
'''
SKIP = ('message("/src/a_test.cc:12: Skipped\n{}\n\n[  SKIPPED ] A.B (0 ms)")')
SCRIPTS = {'A.Runs': 'message("[       OK ] A.Runs (0 ms)")',
           'A.Fails': 'message(FATAL_ERROR "no")',
           'A.NeedsBf16': SKIP.format('this processor has no bf16'),
           'B.NeedsBf16': SKIP.format('this processor has no bf16'),
           'B.SaysNothing': 'message("[  SKIPPED ] B (0 ms)")'}
PYTEST = '''
import pytest
def test_runs(): pass
@pytest.mark.skip(reason='the ratings are not here')
def test_of_ratings(): pass
class TestFew:
    def test_in_a_class(self): pass
'''


def run(*command, cwd):
    return subprocess.run(list(map(str, command)), cwd=cwd, check=False,
                          capture_output=True, text=True)


class TestReport(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.temporary.name)
        (folder / 'CMakeLists.txt').write_text(PROJECT)
        for name, script in SCRIPTS.items():
            (folder / f'{name}.cmake').write_text(script)
        run('cmake', '-G', 'Ninja', '-S', folder, '-B', folder / 'build',
            cwd=folder)
        run('ctest', '--test-dir', folder / 'build', '--output-junit',
            folder / 'ctest.xml', cwd=folder)
        cls.files = [folder / 'ctest.xml']
        (folder / 'test_few.py').write_text(PYTEST)
        done = run(sys.executable, '-m', 'pytest', '-q', '-p',
                   'no:cacheprovider', '--junitxml', folder / 'pytest.xml',
                   folder / 'test_few.py', cwd=folder)
        if 'No module named pytest' not in done.stderr:
            cls.files.append(folder / 'pytest.xml')
        # One that was not run at all is no error.
        cls.done = run(sys.executable, ROOT / 'scripts/test_report.py', '--out',
                       folder / 'executed.json', *cls.files,
                       folder / 'missing.xml', cwd=ROOT)
        cls.written = json.loads((folder / 'executed.json').read_text())

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_counts_the_reasons(self):
        self.assertIn('    ctest: 2 ran, 1 of them failed; 3 were skipped:\n'
                      '           2  this processor has no bf16\n'
                      '           1  (the test does not say)\n',
                      self.done.stdout)

    def test_names_what_ran_was_skipped_and_failed(self):
        self.assertEqual(sorted(self.written['ran'])[:2], ['A.Fails', 'A.Runs'])
        self.assertEqual(self.written['failed'], ['A.Fails'])
        self.assertEqual(
            sorted(self.written['skipped']['this processor has no bf16']),
            ['A.NeedsBf16', 'B.NeedsBf16'])

    def test_can_be_kept(self):
        with tempfile.TemporaryDirectory() as name:
            proof = pathlib.Path(name) / 'proof.md'
            proof.write_text(f'{executed.BEGIN}\n{executed.END}\n')
            executed.record(self.written, pathlib.Path(name), proof)
            text = proof.read_text()
        self.assertIn(self.written['machine']['processor'], text)
        self.assertIn(self.written['commit'], text)
        self.assertIn('| `B` | 1 | this processor has no bf16 |', text)

    def test_reads_pytest_too(self):
        if len(self.files) == 1:
            self.skipTest('pytest is not installed')
        self.assertIn('test_few.py::test_runs', self.written['ran'])
        self.assertIn('test_few.py::TestFew::test_in_a_class',
                      self.written['ran'])
        self.assertEqual(self.written['skipped']['the ratings are not here'],
                         ['test_few.py::test_of_ratings'])


if __name__ == '__main__':
    unittest.main()
