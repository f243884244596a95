"""A real server on this machine: free ports, a folder of its own, a bundle."""

import dataclasses
import json
import pathlib
import signal
import subprocess
import time
import urllib.request

START_SECONDS = 60
STOP_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Programs:
    """Paths of qlarank_server and qlarank."""
    server: str
    cli: str


def built(folder):
    """The Programs of a build folder such as build/release."""
    folder = pathlib.Path(folder).resolve()
    programs = Programs(folder / 'server/qlarank_server', folder / 'cli/qlarank')
    for path in (programs.server, programs.cli):
        if not path.exists():
            raise ValueError(f'{path} is missing: build it first')
    return programs


class LocalServer:
    """A running server; a context manager that stops it."""

    def __init__(self, programs, bundle, name, version, folder, limits='',
                 command=(), **sections):
        """folder: for store and log, an empty one or an earlier server's.

        limits: fields of the config's limits message; sections: of its others,
        by their names ('model' and 'listen' join what is written here);
        command: words before the server's own;
        base_path: where versions lie that it may be asked to load.
        """
        self.folder = pathlib.Path(folder)
        self.log = self.folder / 'server.log'
        self._cli = programs.cli
        ports = self.folder / 'ports'
        ports.unlink(missing_ok=True)
        store = sections.pop('store', '')
        model = sections.pop('model', '')
        listen = sections.pop('listen', '')
        base_path = sections.pop('base_path', '')
        if base_path:
            base_path = pathlib.Path(base_path).resolve()
        others = '\n'.join(f'{section} {{ {fields} }}'
                           for section, fields in sections.items())
        config = self.folder / 'server.textproto'
        config.write_text(f'''
            listen {{
              grpc_address: "127.0.0.1:0"
              http_address: "127.0.0.1:0"
              port_file: "{ports}" {listen}
            }}
            models {{
              name: "{name}" version: {version}
              path: "{pathlib.Path(bundle).resolve()}" {model}
            }}
            model_base_path: "{base_path}"
            store {{ path: "{(self.folder / 'store').resolve()}" {store} }}
            limits {{ {limits} }}
            {others}
            ''')
        begin = time.monotonic()
        with self.log.open('wb') as log:
            self.process = subprocess.Popen(
                [*command, programs.server, f'--config_file={config}'],
                stdout=log, stderr=subprocess.STDOUT)
        self._wait_for(ports)
        self.start_seconds = time.monotonic() - begin  # to within 5 ms
        grpc_port, http_port, admin_port = ports.read_text().split()
        self.address = f'127.0.0.1:{grpc_port}'
        self.http_address = f'127.0.0.1:{http_port}'
        self.admin_address = f'127.0.0.1:{admin_port}'

    def _wait_for(self, ports):
        deadline = time.monotonic() + START_SECONDS
        while not (ports.exists() and len(ports.read_text().split()) == 3):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError('the server did not start:\n' +
                                   self.log.read_text())
            time.sleep(0.005)

    def cli(self, *arguments, check=True, stdin=None, progress=False,
            timeout=120, before=()):
        """Runs the command-line tool against the server.

        progress: its standard error is shown, not captured. before: words
        before its own.
        """
        result = subprocess.run(
            [*before, self._cli, '--server', self.address,
             '--admin-server', self.admin_address, *map(str, arguments)],
            input=stdin, stdout=subprocess.PIPE,
            stderr=None if progress else subprocess.PIPE, text=True,
            timeout=timeout)
        if check and result.returncode != 0:
            raise RuntimeError(f'qlarank {arguments[0]} failed with exit code '
                               f'{result.returncode}: {result.stderr or ""}')
        return result

    def cli_json(self, *arguments, **kwargs):
        return json.loads(self.cli(*arguments, '--json', **kwargs).stdout)

    def metric(self, name):
        """The value of a metric; its labels are part of its name."""
        with urllib.request.urlopen(
                f'http://{self.http_address}/metrics') as reply:
            for line in reply.read().decode().splitlines():
                if line.startswith(name + ' '):
                    return float(line.split()[1])
        raise RuntimeError(f'the server has no metric {name}')

    def wait_until_folded(self):
        """Until every event of the log is in its user's state."""
        while self.metric('qlarank_fold_backlog_users') > 0:
            time.sleep(0.05)

    def stop(self):
        """As an operator would; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.stop()
