"""Every query of the dashboard gives data from a real server, by way of a real
Prometheus under docker/prometheus.yml: not only a series, but one that moves
when what it shows happens."""

import contextlib
import json
import math
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests/integration'))
import server_process  # noqa: E402

SCRAPE_SECONDS = 1
# As Grafana would: at least four scrapes.
RATE_INTERVAL = '8s'
GIVE_UP_SECONDS = 90
# Panels that stay empty on a server without TLS.
EMPTY_HERE = {'Days until certificates end'}
# What is rightly nothing on a server that has room, nothing to refuse and
# nothing that is damaged, or is over before it is scraped: a part of a query.
ZERO_HERE = (
    'qlarank_inflight_requests', 'qlarank_queue_depth',
    'qlarank_fold_backlog_users', 'qlarank_auth_denied_total',
    'qlarank_connections_refused_total', 'qlarank_connections_cut_total',
    'qlarank_retention_', 'qlarank_damaged_logs_total',
    'qlarank_not_finite_total', 'qlarank_restart_needed',
    'qlarank_rocksdb_write_stall_seconds_total',
    'qlarank_rocksdb_running_', 'qlarank_rocksdb_pending_compaction_bytes')


# Candidates that take some milliseconds.
MANY = ','.join(map(str, range(1, 10_001)))


def may_be_zero(expression):
    return any(metric in expression for metric in ZERO_HERE)


def shows_something(expression, values):
    """Whether a query's values are what its panel is for."""
    return any(values) or (may_be_zero(expression) and bool(values))


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def prometheus(target):
    """Prometheus as compose starts it, but for the target's address."""
    config = yaml.safe_load((ROOT / 'docker/prometheus.yml').read_text())
    config['global']['scrape_interval'] = f'{SCRAPE_SECONDS}s'
    config['scrape_configs'][0]['static_configs'][0]['targets'] = [target]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / 'prometheus.yml').write_text(yaml.safe_dump(config))
        port = free_port()
        with (path / 'log').open('wb') as log:
            process = subprocess.Popen(
                [shutil.which('prometheus'),
                 f'--config.file={path}/prometheus.yml',
                 f'--storage.tsdb.path={path}/data',
                 f'--web.listen-address=127.0.0.1:{port}'],
                stdout=log, stderr=subprocess.STDOUT)
        try:
            yield f'http://127.0.0.1:{port}'
        finally:
            process.terminate()
            process.wait()


def query(url, expression):
    """The finite values of an instant query."""
    expression = expression.replace('$__rate_interval', RATE_INTERVAL)
    arguments = urllib.parse.urlencode({'query': expression})
    with urllib.request.urlopen(f'{url}/api/v1/query?{arguments}',
                                timeout=10) as reply:
        result = json.load(reply)['data']['result']
    values = [float(series['value'][1]) for series in result]
    return [value for value in values if math.isfinite(value)]


def dashboard_queries():
    dashboard = json.loads(
        (ROOT / 'docker/grafana/dashboards/qlarank.json').read_text())
    return [(panel['title'], target['expr'])
            for panel in dashboard['panels']
            for target in panel.get('targets', [])]


@contextlib.contextmanager
def serving():
    """A server that can be told to copy its store."""
    with tempfile.TemporaryDirectory() as copies, server_process.serving(
            store=f'checkpoint_path: "{copies}"') as server:
        yield server


class Traffic(threading.Thread):
    """Some of everything that the dashboard shows, until stopped."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.stopping = threading.Event()
        self.round = 0

    def run(self):
        while not self.stopping.is_set():
            self.round += 1
            # On a busy machine a call may time out: the next round tries again.
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                self.one_round()

    def one_round(self):
        users = [f'user{self.round}_{i}' for i in range(20)]
        rows = [f'{user},{item},buy,{1_500_000_000 + item}'
                for item in range(1, 100) for user in users]
        self.server.cli('import', '-', '--source', f'round{self.round}',
                        stdin='user,item,action,time\n' + '\n'.join(rows) + '\n')
        for user in users[:3]:
            self.server.cli('rank', '--user', user, '--items', '1,2,3,999999',
                            '--min-event-count', '99')
        self.server.cli('state', '--user', users[0])
        self.server.cli('delete-user', '--yes', '--user', users[1])
        # Written to tables on the disk, and counted as a copy.
        self.server.cli('checkpoint', f'copy{self.round}')
        # Over before all are scored, on a fast machine or a slow one.
        for seconds in (.001, .003, .01):
            self.server.cli('--timeout', str(seconds), 'rank', '--user',
                            users[0], '--items', MANY, check=False)
        # An error of the caller's.
        self.server.cli('rank', '--user', users[0], '--items', '1', '--model',
                        'no_such_model', check=False)

    def stop(self):
        self.stopping.set()
        self.join()


class Dashboard(unittest.TestCase):

    @unittest.skipUnless(shutil.which('prometheus'),
                         'prometheus is not installed')
    def test_every_query_gives_data(self):
        waiting = [(title, expression)
                   for title, expression in dashboard_queries()
                   if title not in EMPTY_HERE]
        self.assertGreater(len(waiting), 30)
        with serving() as server, prometheus(server.http_address) as url:
            traffic = Traffic(server)
            traffic.start()
            try:
                deadline = time.monotonic() + GIVE_UP_SECONDS
                while waiting and time.monotonic() < deadline:
                    time.sleep(SCRAPE_SECONDS)
                    with contextlib.suppress(OSError):  # still starting
                        waiting = [(title, expression)
                                   for title, expression in waiting
                                   if not shows_something(
                                       expression, query(url, expression))]
            finally:
                traffic.stop()
            self.assertEqual(waiting, [],
                             'queries without data, or that stay at 0')

    def test_a_query_that_stays_at_zero_shows_nothing(self):
        self.assertFalse(shows_something('sum(rate(qlarank_x_total[8s]))',
                                         [0.0, 0.0]))
        self.assertTrue(shows_something('sum(rate(qlarank_x_total[8s]))',
                                        [0.0, 0.1]))
        self.assertTrue(shows_something('sum(qlarank_queue_depth)', [0.0]))
        self.assertFalse(shows_something('sum(qlarank_queue_depth)', []))

    def test_what_may_be_zero_is_on_the_dashboard(self):
        expressions = [expression for _, expression in dashboard_queries()]
        for metric in ZERO_HERE:
            self.assertTrue(any(metric in expression
                                for expression in expressions), metric)

    def test_every_metric_that_the_dashboard_names_is_exposed(self):
        with serving() as server:
            Traffic(server).one_round()
            with urllib.request.urlopen(
                    f'http://{server.http_address}/metrics') as reply:
                exposed = set(re.findall(r'^(\w+)', reply.read().decode(),
                                         re.M))
        for title, expression in dashboard_queries():
            for metric in re.findall(r'\b(?:qlarank|grpc|process)_\w+\b',
                                     re.sub(r'{.*?}|by \(.*?\)', '',
                                            expression)):
                self.assertIn(metric, exposed, title)


if __name__ == '__main__':
    unittest.main()
