"""What every section works with: programs, folders, servers, progress."""

import contextlib
import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from bench import local_server
from bench.performance import google_benchmark

ITEMS = 20_000

# (d_model, heads, layers, convolution, target-aware[, items[, 'scattered']]):
# write_bundle's words.
SHAPES = {
    # What every figure is of, unless it says otherwise.
    'd128': (128, 4, 2, 4, 'all'),
    # As little engine as can be: what is left is the server.
    'null': (8, 1, 1, 1, 'off'),
    # Whose state is so small that a million of them can be kept.
    'small': (32, 4, 1, 4, 'all'),
    # Of more items than the others, each somewhere in the table.
    'large': (128, 4, 2, 4, 'all', 2_000_000, 'scattered'),
}
# The name that all of them have.
RANDOM = 'random'
SHIPPED = pathlib.Path('models/grocery/1')
CHANGE = .01


@dataclasses.dataclass(frozen=True)
class Echo:
    """What a load generator needs of a server."""
    address: str


class Context:
    """build: build/release; cache: what a run may keep for the next one."""

    def __init__(self, build, cache, minutes=None, users=None, model=None):
        self.build = pathlib.Path(build)
        self.cache = pathlib.Path(cache)
        self.minutes = minutes  # of memory and overload, or None
        self.users = users  # of migration, or None
        self.model = model  # of SHAPES, of migration, or None
        self.programs = local_server.built(build)
        self._begin = time.monotonic()
        self.cache.mkdir(parents=True, exist_ok=True)

    def say(self, text):
        """A line of progress, on standard error."""
        seconds = int(time.monotonic() - self._begin)
        print(f'    {seconds // 60}:{seconds % 60:02d}  {text}',
              file=sys.stderr, flush=True)

    def run_json(self, program, *arguments, timeout=900, before=()):
        """Runs a program of the build folder that prints JSON. before: words
        before its own."""
        command = [*before, str(self.build / 'bench' / program),
                   *map(str, arguments)]
        result = subprocess.run(command, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                timeout=timeout)
        if result.returncode != 0:
            raise RuntimeError(f'{program} failed with exit code '
                               f'{result.returncode}: {result.stderr.strip()}')
        return json.loads(result.stdout)

    def bundle(self, name):
        """The folder of a bundle of SHAPES, written when it is missing."""
        folder = self.cache / name
        if not (folder / 'model.textproto').exists():
            subprocess.run([self.build / 'bench' / 'write_bundle', folder,
                            *map(str, (*SHAPES[name], ITEMS)[:6]),
                            *SHAPES[name][6:]], check=True)
        return folder

    def versions(self, count, bundle=SHIPPED):
        """A folder with `count` versions of a model in a folder of its name,
        written where they are missing. Items have the ids 1, 2, ... as
        load_client asks for, and weights differ by up to CHANGE.

        bundle: a name of SHAPES, or a bundle's folder."""
        folder = self.cache / 'versions'
        path, name = self._path_and_name(bundle)
        for version in range(1, count + 1):
            to = folder / name / str(version)
            if to.exists():
                continue
            aside = to.with_name(f'.{version}')
            shutil.rmtree(aside, ignore_errors=True)
            subprocess.run([self.build / 'bench' / 'change_bundle', path, aside,
                            str(version), str(CHANGE), 'numbered'], check=True)
            aside.rename(to)
        return folder

    def _path_and_name(self, bundle):
        if bundle in SHAPES:
            return self.bundle(bundle), RANDOM
        return bundle, pathlib.Path(bundle).parts[-2]

    @contextlib.contextmanager
    def server(self, bundle='d128', folder=None, version=1, **sections):
        """A running server, over an empty store unless a folder has one.

        bundle: a name of SHAPES, or a bundle's folder; version: that it has;
        sections: fields of the config's messages of that name, such as
        store='...'.
        """
        path, name = self._path_and_name(bundle)
        with contextlib.ExitStack() as stack:
            if folder is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(
                    dir=self.cache, prefix='server-'))
            yield stack.enter_context(local_server.LocalServer(
                self.programs, path, name, version, folder, **sections))

    @contextlib.contextmanager
    def echo(self, candidates, from_another_thread=False):
        """A gRPC server that does nothing but answer (bench/load/rank_echo.h),
        with scores of so many candidates."""
        program = self.build / 'bench' / 'load' / 'rank_echo'
        with subprocess.Popen([program, f'--candidates={candidates}',
                               '--from_another_thread='
                               f'{_flag(from_another_thread)}'],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as process:
            port = process.stdout.readline().strip()
            if not port:
                raise RuntimeError('rank_echo did not start')
            yield Echo(f'127.0.0.1:{port}')
            process.stdin.close()  # which ends it

    def send_events(self, server, users, events, **flags):
        """Streams events; event_client's report."""
        return self._client('load/event_client', server, users, (),
                            events=events, **flags)

    def load(self, server, users, *flows, **flags):
        """Sends Rank requests; load_client's flows by name, and the share of
        a processor that the generator used."""
        report = self._client('load/load_client', server, users, flows, **flags)
        flows = {flow['name']: flow for flow in report['flows']}
        return flows, report['client_processors']

    def _client(self, program, server, users, positional, timeout_s=900,
                **flags):
        flags = {'server': server.address, 'users': users, 'items': ITEMS,
                 **flags}
        return self.run_json(program, *(
            f'--{name}={_flag(value)}' for name, value in flags.items()),
            *positional, timeout=timeout_s)

    def engine_ms(self, precision, candidates):
        """Milliseconds of one core for so many candidates (1,000, 2,000 or
        4,000), measured now, without a server: what a figure that depends on
        the machine is held to. None without the precision."""
        pattern = f'^RankCandidates/{precision}/{candidates}$'
        run = google_benchmark.measure(self, pattern, min_time=.5).get(
            ('RankCandidates', precision, candidates))
        return run and 1e3 * run['seconds']

    def gaps(self, seconds=3):
        """gap_probe's report; nothing else should run."""
        return self.run_json('load/gap_probe', seconds)


def _flag(value):
    return str(value).lower() if isinstance(value, bool) else value


def errors(flow):
    """How many requests of a load_client's flow failed."""
    return sum(flow['errors'].values())
