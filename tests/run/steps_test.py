"""The steps of ./run: what they show while something runs, and their table;
and what `./run fresh` takes from the machine that it is started on."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def bash(script, cwd, **variables):
    """The exit code and what was printed, with ./run's functions at hand."""
    sources = ''.join(f'source "{ROOT}/scripts/{name}.sh"\n'
                      for name in ('steps', 'tests', 'fresh'))
    done = subprocess.run(
        ['bash', '-c', f'set -euo pipefail\nusage() {{ :; }}\n{sources}' +
         script], cwd=cwd, check=False, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={'PATH': os.environ['PATH'],
                                       **variables})
    return done.returncode, done.stdout


class Steps(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def line(self, log, seconds):
        (self.folder / 'a.log').write_text(log)
        return bash(f'progress_line a.log {seconds} 60', self.folder)[1]

    def test_a_build_shows_its_share_and_the_time_left(self):
        self.assertEqual(
            self.line('[9/80] A\n[20/80] Building CXX object b.cc.o\n', 60),
            '[#####               ]  25 %  20 of 80, about 3:00 left')

    def test_the_first_objects_do_not_say_how_long_it_takes(self):
        self.assertNotIn('left', self.line('[2/80] A\n', 60))

    def test_ctest_shows_its_share_too(self):
        self.assertIn(' 50 %  5 of 10', self.line(
            ' 5/10 Test  #7: Ranks.All .......   Passed    0.10 sec\n', 60))

    def test_other_steps_show_their_last_line(self):
        self.assertEqual(self.line('Get:1\nUnpacking g++ ...\n', 60),
                         'Unpacking g++ ...\n')

    def test_steps_are_written_down_with_their_times(self):
        code, _ = bash('begin_steps few\nstep "Waiting, long" wait sleep 1.2\n'
                       'step "Going on" go true', self.folder)
        self.assertEqual(code, 0)
        steps = [line.split('\t') for line in
                 (self.folder / 'build/logs/steps-few.tsv').read_text()
                 .splitlines()]
        self.assertEqual([step[2] for step in steps],
                         ['Waiting, long', 'Going on'])
        self.assertGreaterEqual(int(steps[0][0]), 1)
        self.assertEqual(steps[0][1], '0')

    def test_a_step_that_fails_shows_the_end_of_its_log(self):
        code, said = bash('step "Failing" fail sh -c "echo why; exit 7"',
                          self.folder)
        self.assertEqual(code, 7)
        self.assertIn('FAILED', said)
        self.assertIn('| why', said)

    def test_a_step_may_begin_before_it_is_waited_for(self):
        _, said = bash('start_step early sh -c "sleep 0.2; echo x > done"\n'
                       'pid=$step_pid\n[[ ! -e done ]] && echo not yet\n'
                       'finish_step "Early" early "$pid"; ls done', self.folder)
        self.assertRegex(said, r'(?s)not yet.*==> Early.*done in.*done\n')


class Fresh(unittest.TestCase):

    def test_knows_a_script_for_each_command(self):
        for command in ('demo', 'test', 'serve', 'eval', 'bench-smoke'):
            code, said = bash(f'fresh_script {command}', ROOT)
            self.assertEqual(code, 0)
            self.assertIn('./run ', said)
        self.assertNotEqual(bash('fresh_script soak', ROOT)[0], 0)

    def test_takes_settings_of_registries_and_no_other_variables(self):
        _, said = bash('fresh_environment', ROOT, https_proxy='http://p:1',
                       PIP_INDEX_URL='http://i', PYTHONPATH='/x', HOME='/h')
        self.assertEqual(said.split(),
                         ['https_proxy=http://p:1', 'PIP_INDEX_URL=http://i'])


class Packages(unittest.TestCase):

    def test_the_demo_installs_neither_pytorch_nor_what_tests_need(self):
        listed = subprocess.run(
            [ROOT / 'docker/install_packages.sh', '--list', 'build', 'demo'],
            check=True, capture_output=True, text=True).stdout.split()
        self.assertIn('g++', listed)
        for name in ('python3-torch', 'python3-matplotlib', 'libgtest-dev',
                     'libbenchmark-dev', 'prometheus', 'git'):
            self.assertNotIn(name, listed)


if __name__ == '__main__':
    unittest.main()
