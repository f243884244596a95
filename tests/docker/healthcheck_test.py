"""The container's health check, against servers that it must not call sick."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests/integration'))
import server_process  # noqa: E402
from bench import local_server  # noqa: E402
from files_test import instructions  # noqa: E402

CHECK_SECONDS = 5  # Docker's --timeout


def check_command():
    """The Dockerfile's, by the path that the program has here."""
    lines = instructions((ROOT / 'docker/Dockerfile').read_text())
    [check] = [text for word, text in lines if word == 'HEALTHCHECK']
    [program] = json.loads(check.split('CMD', 1)[1])
    for text in (text for word, text in lines if word == 'COPY'):
        if text.split()[-1] == program:
            return str(ROOT / text.split()[0])
    raise AssertionError(f'the Dockerfile copies nothing to {program}')


@contextlib.contextmanager
def serving(**sections):
    programs = local_server.Programs(server_process.binary('server'),
                                     server_process.binary('cli'))
    with tempfile.TemporaryDirectory() as folder:
        with local_server.LocalServer(programs, server_process.BUNDLE,
                                      server_process.MODEL, 1, folder,
                                      **sections) as server:
            yield server


def check(http_address):
    return subprocess.run(
        [check_command()], capture_output=True, text=True,
        timeout=CHECK_SECONDS,
        env={**os.environ, 'QLARANK_HTTP_ADDRESS': http_address})


def rank_request(candidates):
    """A RankRequest: user_id 1, item_ids 2."""
    ids = struct.pack(f'<{candidates}Q', *range(1, candidates + 1))
    size = len(ids)
    length = b''
    while size >= 128:
        length += bytes([size & 127 | 128])
        size >>= 7
    return b'\x0a\x01u\x12' + length + bytes([size]) + ids


class HealthCheck(unittest.TestCase):

    def assert_healthy(self, server):
        result = check(server.http_address)
        self.assertEqual((result.returncode, result.stdout), (0, 'ok\n'),
                         result.stderr)

    def test_a_server_with_tls_and_tokens(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=server',
                 '-keyout', f'{folder}/key', '-out', f'{folder}/certificate'],
                check=True, capture_output=True)
            pathlib.Path(f'{folder}/tokens').write_text(
                f"tokens {{ name: 'a' sha256: '{'0' * 64}' "
                'roles: ROLE_ADMIN }')
            with serving(security=f'''
                    tls {{ certificate_file: "{folder}/certificate"
                           private_key_file: "{folder}/key"
                           client_ca_file: "{folder}/certificate"
                           require_client_certificate: true }}
                    token_file: "{folder}/tokens"''') as server:
                self.assert_healthy(server)
                # What the container asked before.
                self.assertNotEqual(server.cli('serve-check', '--timeout', 4,
                                               check=False).returncode, 0)

    def test_a_server_that_sheds_load(self):
        with serving(rank='workers: 1 max_inflight_requests: 1') as server:
            stopping = threading.Event()
            shed = threading.Event()

            def call():
                with grpc.insecure_channel(server.address) as channel:
                    rank = channel.unary_unary('/qlarank.v1.RankService/Rank')
                    while not stopping.is_set():
                        try:
                            rank(rank_request(20_000), timeout=60)
                        except grpc.RpcError as error:
                            if (error.code() ==
                                    grpc.StatusCode.RESOURCE_EXHAUSTED):
                                shed.set()

            callers = [threading.Thread(target=call) for _ in range(8)]
            for caller in callers:
                caller.start()
            try:
                self.assertTrue(shed.wait(60), 'the server sheds nothing')
                for _ in range(10):
                    self.assert_healthy(server)
                    # A server without room for one more does serve.
                    server.cli('serve-check')
            finally:
                stopping.set()
                for caller in callers:
                    caller.join()

    def test_a_server_whose_connections_others_hold(self):
        with serving() as server:
            host, port = server.http_address.split(':')
            held = [socket.create_connection((host, int(port)))
                    for _ in range(300)]
            try:
                self.assert_healthy(server)
            finally:
                for connection in held:
                    connection.close()

    def test_says_what_is_wrong(self):
        with serving(lifecycle='drain_delay { seconds: 3600 }') as server:
            server.process.send_signal(signal.SIGTERM)
            url = f'http://{server.http_address}/readyz'
            with contextlib.suppress(urllib.error.HTTPError):
                while True:
                    urllib.request.urlopen(url).close()
            result = check(server.http_address)
            self.assertEqual((result.returncode, result.stdout),
                             (1, 'draining\n'), result.stderr)
            server.process.send_signal(signal.SIGTERM)  # at once
            server.process.wait()
        self.assertNotEqual(check(server.http_address).returncode, 0)


if __name__ == '__main__':
    unittest.main()
