"""Clients as callers have them: not made for this benchmark, at the usual
priority, on the server's own processors. Each keeps so many connections, one
request after the other on each, and tries again at once whatever it was told.

    ghz      the Go load generator of that name (github.com/bojand/ghz), from
             the Go module proxy, built once into .cache/go
    python   bench/load/python_client.py, with Debian's grpcio

A client that cannot be had on a machine is None, with the reason why.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
GHZ_MODULE = 'github.com/bojand/ghz/cmd/ghz@v0.120.0'
# Building it takes some minutes, once.
BUILD_SECONDS = 1800
# On top of what a run is to take.
SPARE_SECONDS = 120


@dataclasses.dataclass(frozen=True)
class Run:
    """What a client saw: calls by the name of their code, as OK, in so many
    seconds; milliseconds of those that were answered."""
    codes: dict
    seconds: float
    ok_p50_ms: float = None
    ok_p99_ms: float = None

    @property
    def goodput(self):
        """Answers a second. What comes too late is none: the client itself has
        ended the call by then."""
        return self.codes.get('OK', 0) / self.seconds

    @property
    def refused(self):
        return self.codes.get('RESOURCE_EXHAUSTED', 0) / self.seconds

    def others(self):
        """Calls that were neither answered, refused nor late."""
        return {code: count for code, count in self.codes.items() if code not in
                ('OK', 'RESOURCE_EXHAUSTED', 'DEADLINE_EXCEEDED')}


def rank_request(user, item_ids):
    """The bytes of a qlarank.v1.RankRequest: user_id = 1, item_ids = 2."""
    user = user.encode()
    ids = struct.pack(f'<{len(item_ids)}Q', *item_ids)
    return (b'\x0a' + _varint(len(user)) + user + b'\x12' + _varint(len(ids)) +
            ids)


def _varint(value):
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


def ghz_program(cache):
    """(path, '') of ghz, built unless it is there; or (None, why not)."""
    found = shutil.which('ghz')
    path = pathlib.Path(found) if found else cache.resolve() / 'go/bin/ghz'
    if path.exists():
        return path, ''
    if not shutil.which('go'):
        return None, 'no ghz, and no Go to build it with'
    try:
        result = subprocess.run(
            ['go', 'install', GHZ_MODULE], cwd=cache, timeout=BUILD_SECONDS,
            env={**os.environ, 'GOBIN': str(path.parent), 'GOFLAGS': ''},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except subprocess.TimeoutExpired:
        return None, f'ghz was not built within {BUILD_SECONDS} s'
    if result.returncode != 0:
        return None, 'ghz cannot be built: ' + result.stdout.strip()[-200:]
    return path, ''


def python_works():
    """'' or why the Python client cannot run here."""
    result = subprocess.run([sys.executable, '-c', 'import grpc.aio'],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)
    return '' if result.returncode == 0 else 'no grpcio for Python'


class Clients:
    """All of them, against one server, with one request."""

    def __init__(self, cache, address, request):
        self._address = address
        self._folder = tempfile.TemporaryDirectory(prefix='clients-')
        self._request = pathlib.Path(self._folder.name) / 'request'
        self._request.write_bytes(request)
        self._ghz, ghz_missing = ghz_program(pathlib.Path(cache))
        self.missing = {'ghz': ghz_missing, 'python': python_works()}

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._folder.cleanup()

    def run(self, name, connections, timeout_ms, seconds):
        """A Run of a client that is not missing."""
        run = {'ghz': self._run_ghz, 'python': self._run_python}[name]
        return run(connections, timeout_ms, seconds)

    def _run_ghz(self, connections, timeout_ms, seconds):
        report = self._json([
            self._ghz, '--insecure', '--proto',
            ROOT / 'proto/qlarank/v1/rank_service.proto', '-i', ROOT / 'proto',
            '--call', 'qlarank.v1.RankService.Rank', '-B', self._request,
            '-c', connections, f'--connections={connections}',
            '-z', f'{seconds}s', '--duration-stop=ignore',
            '-t', f'{timeout_ms}ms', '-O', 'json', self._address], seconds)
        return ghz_run(report)

    def _run_python(self, connections, timeout_ms, seconds):
        report = self._json([
            sys.executable, ROOT / 'bench/load/python_client.py',
            self._address, self._request, f'--connections={connections}',
            f'--timeout-ms={timeout_ms}', f'--seconds={seconds}'], seconds)
        return Run(report['codes'], report['seconds'], report['ok_ms']['p50'],
                   report['ok_ms']['p99'])

    def _json(self, command, seconds):
        result = subprocess.run(list(map(str, command)), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=seconds + SPARE_SECONDS)
        if result.returncode != 0:
            raise RuntimeError(f'{command[0]} failed with exit code '
                               f'{result.returncode}: {result.stderr.strip()}')
        return json.loads(result.stdout)


def ghz_run(report):
    """The Run of ghz's report in JSON."""
    codes = {}
    for name, count in report['statusCodeDistribution'].items():
        name = ''.join('_' + c if c.isupper() else c.upper()
                       for c in name).lstrip('_')
        codes['OK' if name == 'O_K' else name] = count
    quantiles = {entry['percentage']: entry['latency'] / 1e6
                 for entry in report.get('latencyDistribution') or []}
    return Run(codes, report['total'] / 1e9, quantiles.get(50),
               quantiles.get(99))
