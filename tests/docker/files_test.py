"""Checks docker/ without Docker: every file named exists, every file parses."""

import json
import pathlib
import re
import shlex
import subprocess
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCKER = ROOT / 'docker'


def instructions(text):
    """(keyword, arguments) of a Dockerfile, continuation lines joined."""
    text = re.sub(r'^\s*#.*\n', '', text, flags=re.M).replace('\\\n', ' ')
    return [tuple(line.split(None, 1)) for line in text.splitlines()
            if line.strip()]


class Dockerfile(unittest.TestCase):

    def setUp(self):
        self.lines = instructions((DOCKER / 'Dockerfile').read_text())

    def of(self, keyword):
        return [arguments for word, arguments in self.lines if word == keyword]

    def test_every_copied_file_exists(self):
        for arguments in self.of('COPY'):
            words = shlex.split(arguments)
            if any(word.startswith('--from=') for word in words):
                continue
            for source in words[:-1]:
                self.assertTrue((ROOT / source).exists(), source)

    def test_every_folder_that_cmake_adds_is_copied(self):
        copied = {word for line in self.of('COPY') for word in line.split()}
        cmake = (ROOT / 'CMakeLists.txt').read_text()
        # Those below `if(` are tests and benchmarks, which are switched off.
        for folder in re.findall(r'^add_subdirectory\((\w+)\)', cmake, re.M):
            self.assertIn(folder, copied)

    def test_runs_as_another_user_than_root(self):
        self.assertTrue(self.of('USER'))
        self.assertNotIn('root', self.of('USER'))
        words = [word for word, _ in self.lines]
        self.assertGreater(words.index('ENTRYPOINT'), words.index('USER'))

    def test_stops_by_the_signal_that_drains(self):
        self.assertEqual(self.of('STOPSIGNAL'), ['SIGTERM'])

    def test_package_groups_exist(self):
        for run in self.of('RUN'):
            for group in re.findall(r'install_packages\.sh (\w+)', run):
                subprocess.run([DOCKER / 'install_packages.sh', '--list',
                                group], check=True, capture_output=True)

    def test_only_runtime_packages_in_the_last_stage(self):
        last = max(i for i, line in enumerate(self.lines) if line[0] == 'FROM')
        groups = [group for word, arguments in self.lines[last:]
                  for group in re.findall(r'install_packages\.sh (\w+)',
                                          arguments)]
        self.assertEqual(groups, ['runtime'])


class Compose(unittest.TestCase):

    def setUp(self):
        self.compose = yaml.safe_load((DOCKER / 'compose.yaml').read_text())

    def test_mounted_files_exist(self):
        for name, service in self.compose['services'].items():
            for volume in service.get('volumes', []):
                source = volume.split(':')[0]
                if source.startswith('.'):
                    self.assertTrue((DOCKER / source).exists(), source)
                else:
                    self.assertIn(source, self.compose['volumes'], name)

    def test_built_from_files_that_exist(self):
        build = self.compose['services']['qlarank']['build']
        context = (DOCKER / build['context']).resolve()
        self.assertEqual(context, ROOT)
        self.assertTrue((context / build['dockerfile']).is_file())

    def test_prometheus_scrapes_the_server(self):
        config = yaml.safe_load((DOCKER / 'prometheus.yml').read_text())
        [job] = config['scrape_configs']
        [target] = job['static_configs'][0]['targets']
        host, port = target.split(':')
        self.assertIn(host, self.compose['services'])
        server = (DOCKER / 'server.textproto').read_text()
        self.assertIn(f'http_address: "0.0.0.0:{port}"', server)


class Grafana(unittest.TestCase):

    def setUp(self):
        self.compose = yaml.safe_load((DOCKER / 'compose.yaml').read_text())
        self.source = yaml.safe_load(
            (DOCKER / 'grafana/provisioning/datasources/prometheus.yaml')
            .read_text())['datasources'][0]
        self.dashboard = json.loads(
            (DOCKER / 'grafana/dashboards/qlarank.json').read_text())

    def test_the_data_source_is_the_prometheus_of_compose(self):
        self.assertEqual(self.source['url'], 'http://prometheus:9090')
        self.assertIn('prometheus', self.compose['services'])

    def test_dashboards_are_where_the_provider_looks(self):
        provider = yaml.safe_load(
            (DOCKER / 'grafana/provisioning/dashboards/qlarank.yaml')
            .read_text())['providers'][0]
        mounts = self.compose['services']['grafana']['volumes']
        self.assertIn(f'./grafana/dashboards:{provider["options"]["path"]}:ro',
                      mounts)

    def test_panels_use_the_data_source_and_do_not_overlap(self):
        taken = set()
        for panel in self.dashboard['panels']:
            place = panel['gridPos']
            for x in range(place['x'], place['x'] + place['w']):
                for y in range(place['y'], place['y'] + place['h']):
                    self.assertNotIn((x, y), taken, panel['title'])
                    taken.add((x, y))
            for target in panel.get('targets', []):
                self.assertEqual(target['datasource']['uid'],
                                 self.source['uid'])

    def test_has_the_rows_that_operators_look_for(self):
        rows = [panel['title'] for panel in self.dashboard['panels']
                if panel['type'] == 'row']
        self.assertEqual(rows, ['Traffic', 'Errors', 'Latency by stage',
                                'User states', 'Ingestion', 'RocksDB',
                                'Callers', 'Care of the store', 'Process'])


if __name__ == '__main__':
    unittest.main()
