"""The runtime group of packages holds what the programs are linked with."""

import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests/integration'))
import server_process  # noqa: E402

# What debian:bookworm-slim has, or what every C++ library brings along.
ALWAYS_THERE = {'libc6', 'libgcc-s1', 'libstdc++6', 'zlib1g'}
# Sanitizers' runtimes are not for containers.
NOT_SHIPPED = re.compile(r'lib(a|t|ub)san')


def output(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


def libraries(program):
    """File by name of the libraries that the program itself names."""
    needed = set(re.findall(r'NEEDED\s+(\S+)', output('objdump', '-p',
                                                       program)))
    found = dict(re.findall(r'^\s*(\S+) => (\S+)', output('ldd', program),
                            re.M))
    return {name: found[name] for name in needed if name in found}


def package_of(path):
    # dpkg knows a file by the path that its package gave it, whereas /lib is
    # a link to /usr/lib.
    path = pathlib.Path(path).resolve()
    names = [path, pathlib.Path('/').joinpath(*path.parts[2:])]
    listed = subprocess.run(['dpkg', '-S', *map(str, names)],
                            capture_output=True, text=True).stdout
    return listed.split(':')[0]


class RuntimePackages(unittest.TestCase):

    def test_hold_every_library(self):
        runtime = set(output(ROOT / 'docker/install_packages.sh', '--list',
                             'runtime').split())
        for program in ('server', 'cli'):
            names = libraries(server_process.binary(program))
            self.assertGreater(len(names), 5)
            for name, path in sorted(names.items()):
                if NOT_SHIPPED.match(name):
                    continue
                package = package_of(path)
                self.assertIn(package, runtime | ALWAYS_THERE,
                              f'{program} is linked with {name}')


if __name__ == '__main__':
    unittest.main()
