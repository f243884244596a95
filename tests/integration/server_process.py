"""A real server for a test: a free port, a folder of its own, a small model."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = 'dot_l2_decay_conv'
BUNDLE = ROOT / 'tests/golden' / MODEL / 'bundle'
START_SECONDS = 60
STOP_SECONDS = 60


def binary(name):
    """The path of one of our programs, which CMake passes in."""
    return os.environ[f'QLARANK_{name.upper()}_BINARY']


class Server:
    """A running server. Use `serving()`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.log = self.folder / 'server.log'
        ports = self.folder / 'ports'
        config = self.folder / 'server.textproto'
        config.write_text(f'''
            listen {{
              grpc_address: "127.0.0.1:0"
              http_address: "127.0.0.1:0"
              port_file: "{ports}"
            }}
            models {{ name: "{MODEL}" version: 1 path: "{BUNDLE}" }}
            store {{ path: "{self.folder / 'store'}" }}
            ''')
        with self.log.open('wb') as log:
            self.process = subprocess.Popen(
                [binary('server'), f'--config_file={config}'], cwd=ROOT,
                stdout=log, stderr=subprocess.STDOUT)
        self._wait_for(ports)
        grpc_port, http_port = ports.read_text().split()
        self.address = f'127.0.0.1:{grpc_port}'
        self.http_address = f'127.0.0.1:{http_port}'

    def _wait_for(self, ports):
        deadline = time.monotonic() + START_SECONDS
        while not (ports.exists() and len(ports.read_text().split()) == 2):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError('the server did not start:\n' +
                                   self.log.read_text())
            time.sleep(0.05)

    def cli(self, *arguments, check=True, stdin=None):
        """Runs the command-line tool against the server."""
        result = subprocess.run(
            [binary('cli'), '--server', self.address, *map(str, arguments)],
            input=stdin, capture_output=True, text=True, timeout=120)
        if check and result.returncode != 0:
            raise AssertionError(f'{arguments}: {result.stderr}')
        return result

    def cli_json(self, *arguments, **kwargs):
        return json.loads(self.cli(*arguments, '--json', **kwargs).stdout)

    def stop(self):
        """As an operator would; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextlib.contextmanager
def serving():
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.stop()
