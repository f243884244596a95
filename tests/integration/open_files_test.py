"""Strangers hold all the connections they get; files are left for the rest.

As many shells and service managers start it: `ulimit -n 1024`.
"""

import contextlib
import pathlib
import resource
import socket
import tempfile
import time
import unittest
import urllib.request

import grpc

import reflected
import server_process

LIMIT = 1024
STRANGERS = ('127.0.0.2', '127.0.0.3')
# SETTINGS behind the preface: gRPC waits for no more of a client.
HELLO = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0'


def limited(server, folder, limits):
    """A program that is `server` under other limits."""
    program = pathlib.Path(folder) / 'limited_server'
    program.write_text(f'#!/bin/sh\n{limits}\nexec "{server}" "$@"\n')
    program.chmod(0o755)
    return program


@contextlib.contextmanager
def serving(limits):
    """A server whose store begins a new file every few appends."""
    with tempfile.TemporaryDirectory() as folder:
        local = server_process.local_server
        programs = local.Programs(
            limited(server_process.binary('server'), folder, limits),
            server_process.binary('cli'))
        with local.LocalServer(programs, server_process.BUNDLE,
                               server_process.MODEL, 1, folder,
                               store='block_cache_bytes: 262144') as server:
            yield server


class OpenFiles(unittest.TestCase):

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE,
                        (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def hold_connections(self, server, count):
        """Tries `count`, in turn from all strangers; those that were made."""
        host, port = server.address.split(':')
        connections = contextlib.ExitStack()
        self.addCleanup(connections.close)
        for i in range(count):
            with contextlib.suppress(OSError):
                connection = connections.enter_context(
                    socket.create_connection(
                        (host, int(port)), timeout=5,
                        source_address=(STRANGERS[i % len(STRANGERS)], 0)))
                connection.sendall(HELLO)
        return connections

    def append(self, server, batches):
        """Events of users that are new, on a connection that is new."""
        with grpc.insecure_channel(server.address) as channel:
            request, call = reflected.Services(channel).unary(
                'qlarank.v1.IngestService', 'AppendEvents')
            for batch in range(batches):
                message = request(source='s' * 100)
                for user in range(1000):
                    added = message.events.add(user_id=f'user-{batch}-{user}',
                                               sequence=1)
                    added.event.item_id = 1
                    added.event.action = 'buy'
                    added.event.time.seconds = 1_500_000_000
                reply = call(message, timeout=60)
                self.assertEqual(reply.applied, 1000)

    def wait_for(self, condition):
        end = time.monotonic() + 30
        while not condition() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertTrue(condition())

    def test_idle_connections_leave_files_for_the_store(self):
        with serving(f'ulimit -n {LIMIT}') as server:
            self.assertEqual(server.metric('process_max_fds'), LIMIT)
            most = server.metric('qlarank_connections_max_total')
            self.hold_connections(server, 2000)
            refused = 'qlarank_connections_refused_total{reason="%s"}'
            self.wait_for(lambda: server.metric(refused % 'client') +
                          server.metric('qlarank_connections_open') >= 2000)
            self.assertLessEqual(server.metric('qlarank_connections_open'),
                                 most)
            self.assertLess(server.metric('process_open_fds'), LIMIT - 100)

            self.append(server, 12)
            self.assertEqual(
                server.metric('qlarank_rocksdb_writes_refused'), 0)
            begin = time.monotonic()
            for path in ('metrics', 'livez', 'readyz'):
                with urllib.request.urlopen(
                        f'http://{server.http_address}/{path}',
                        timeout=5) as reply:
                    self.assertEqual(reply.status, 200)
            self.assertLess(time.monotonic() - begin, 5)
            self.assertEqual(server.stop(), 0)
            log = server.log.read_text()
            self.assertIn('connection refused: its client has too many', log)
            self.assertIn('few files may be open', log)
            self.assertNotIn('Too many open files', log)

    def test_the_limit_is_raised_where_it_may_be(self):
        with serving(f'ulimit -Sn {LIMIT}; ulimit -Hn 4096') as server:
            self.assertEqual(server.metric('process_max_fds'), 4096)
            self.assertGreater(
                server.metric('qlarank_connections_max_total'), LIMIT)
            self.assertNotIn('few files may be open', server.log.read_text())


if __name__ == '__main__':
    unittest.main()
