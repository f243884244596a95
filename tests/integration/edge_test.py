"""The example edge, docker/edge/haproxy.cfg, in front of a real server."""

import contextlib
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import grpc

import header_flood_test
import reflected
import server_process

CONFIG = server_process.ROOT / 'docker/edge/haproxy.cfg'
HAPROXY = shutil.which('haproxy', path=os.environ['PATH'] + ':/usr/sbin')


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def make_certificate(folder):
    """(certificate, file with its key behind it) for localhost."""
    key, certificate = folder / 'edge.key', folder / 'edge.crt'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         '/CN=edge', '-addext', 'subjectAltName=DNS:localhost',
         '-keyout', key, '-out', certificate], check=True,
        capture_output=True)
    both = folder / 'edge.pem'
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate, both


@contextlib.contextmanager
def edge(server, folder):
    """Runs the edge before a server; its port and its certificate."""
    port = free_port()
    certificate, both = make_certificate(folder)
    with (folder / 'edge.log').open('wb') as log:
        process = subprocess.Popen(
            [HAPROXY, '-db', '-f', CONFIG], stdout=log, stderr=log,
            env=dict(os.environ, EDGE_ADDRESS=f'127.0.0.1:{port}',
                     EDGE_CERTIFICATE=str(both),
                     QLARANK_GRPC_ADDRESS=server.address,
                     QLARANK_HTTP_PORT=server.http_address.split(':')[1]))
    try:
        yield port, certificate.read_bytes()
    finally:
        process.terminate()
        process.wait(30)


def refusal(call, *arguments, **options):
    """The error of a call that fails."""
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        return error
    raise AssertionError('the call did not fail')


@unittest.skipUnless(HAPROXY, 'haproxy is not installed')
class Edge(unittest.TestCase):

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.server = stack.enter_context(server_process.serving())
        self.folder = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory()))
        self.port, self.certificate = stack.enter_context(
            edge(self.server, self.folder))
        self.channel = stack.enter_context(self.connect())
        # The services are known by what the server itself says of them.
        self.direct = stack.enter_context(
            grpc.insecure_channel(self.server.address))
        self.services = reflected.Services(self.direct)
        grpc.channel_ready_future(self.channel).result(30)
        self.wait_until_served()

    def connect(self):
        return grpc.secure_channel(
            f'localhost:{self.port}',
            grpc.ssl_channel_credentials(self.certificate),
            [('grpc.use_local_subchannel_pool', 1)])

    def call(self, service, method, **fields):
        """Calls through the edge."""
        request, direct = self.services.unary(service, method)
        call = self.channel.unary_unary(
            f'/{service}/{method}',
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=direct._response_deserializer)
        return call(request(**fields), timeout=20)

    def rank(self, **fields):
        return self.call('qlarank.v1.RankService', 'Rank', user_id='ann',
                         **fields)

    def wait_until_served(self):
        """Until the edge has seen that the server is ready."""
        end = time.monotonic() + 30
        health = self.channel.unary_unary('/grpc.health.v1.Health/Check')
        while time.monotonic() < end:
            with contextlib.suppress(grpc.RpcError):
                health(b'', timeout=5)
                return
            time.sleep(0.1)
        self.fail((self.folder / 'edge.log').read_text())

    def test_the_server_listens_on_loopback_only(self):
        ports = {int(address.split(':')[1])
                 for address in (self.server.address,
                                 self.server.admin_address,
                                 self.server.http_address)}
        listening = set()
        for table in ('/proc/net/tcp', '/proc/net/tcp6'):
            with open(table, encoding='utf8') as lines:
                for line in list(lines)[1:]:
                    fields = line.split()
                    host, port = fields[1].split(':')
                    if fields[3] == '0A' and int(port, 16) in ports:
                        listening.add((host, int(port, 16)))
        self.assertEqual(listening, {('0100007F', port) for port in ports})

    def test_callers_are_served(self):
        self.assertEqual(len(self.rank(item_ids=[1, 2, 3]).scores), 3)
        # More than a window of flow control, both ways.
        scores = self.rank(item_ids=list(range(1, 20_001))).scores
        self.assertEqual(len(scores), 20_000)

    def test_callers_learn_what_to_ask(self):
        found = self.call('qlarank.v1.ModelService', 'GetModel')
        self.assertEqual(found.model.name, server_process.MODEL)

    def test_streams_of_events_pass(self):
        request, _ = self.services.unary('qlarank.v1.IngestService',
                                         'AppendEvents')
        batches = []
        for n in range(1, 101):
            append = request(source='edge')
            event = append.events.add(user_id='bob', sequence=n)
            event.event.item_id = 1
            event.event.action = 'buy'
            event.event.time.seconds = 1_500_000_000 + n
            inner = append.SerializeToString()
            # StreamEventsRequest { batch_id = 1, append = 2 }
            batches.append(b'\x08' + bytes([n]) + b'\x12' +
                           bytes([len(inner)]) + inner)
        replies = list(self.channel.stream_stream(
            '/qlarank.v1.IngestService/StreamEvents')(iter(batches),
                                                      timeout=60))
        self.assertEqual(len(replies), 100)
        state = self.call('qlarank.v1.StateService', 'GetUserState',
                          user_id='bob', min_event_count=100)
        self.assertEqual(state.state.event_count, 100)

    def test_each_client_has_a_connection_of_the_server_to_itself(self):
        path = '/grpc.health.v1.Health/Check'
        before = self.server.metric('qlarank_connections_open')
        with contextlib.ExitStack() as stack:
            for clients in (1, 2, 3):
                call = stack.enter_context(self.connect()).unary_unary(path)
                # Several at once may begin several, before there is one.
                call(b'', timeout=20)
                for reply in [call.future(b'', timeout=20) for _ in range(50)]:
                    reply.result()
                self.assertEqual(
                    self.server.metric('qlarank_connections_open'),
                    before + clients)

    def test_errors_of_the_server_come_through(self):
        error = refusal(self.rank)
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn('item_ids', error.details())

    def test_what_strangers_may_not_call_is_not_there(self):
        call = self.channel.unary_unary(
            '/qlarank.v1.AdminService/Checkpoint')
        self.assertEqual(refusal(call, b'', timeout=20).code(),
                         grpc.StatusCode.UNIMPLEMENTED)

    def test_long_metadata_is_refused_by_the_edge(self):
        call = self.channel.unary_unary('/grpc.health.v1.Health/Check')
        error = refusal(call, b'', timeout=20,
                        metadata=[('much', 'm' * 9_000)])
        self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertIn('8192', error.details())

    def test_a_server_that_stops_gets_no_calls(self):
        self.server.stop()
        health = self.channel.unary_unary('/grpc.health.v1.Health/Check')
        self.assertEqual(refusal(health, b'', timeout=20).code(),
                         grpc.StatusCode.UNAVAILABLE)
        # And at once, when it is known to be gone.
        end = time.monotonic() + 20
        log = self.folder / 'edge.log'
        while ('is DOWN' not in log.read_text() and time.monotonic() < end):
            time.sleep(0.1)
        begin = time.monotonic()
        self.assertEqual(refusal(health, b'', timeout=20).code(),
                         grpc.StatusCode.UNAVAILABLE)
        self.assertLess(time.monotonic() - begin, 1)

    def flood(self):
        """A header without an end; how much of it was taken."""
        context = ssl.create_default_context(
            cadata=self.certificate.decode())
        context.set_alpn_protocols(['h2'])
        sent = 0
        with contextlib.suppress(OSError), context.wrap_socket(
                socket.create_connection(('127.0.0.1', self.port), timeout=5),
                server_hostname='localhost') as connection:
            connection.sendall(header_flood_test.HELLO)
            while sent < 50_000_000:
                connection.sendall(header_flood_test.PIECES)
                sent += len(header_flood_test.PIECES)
        return sent

    def test_a_flood_of_headers_ends_at_the_edge(self):
        before = header_flood_test.processor_seconds(self.server.process)
        for _ in range(20):
            self.assertLess(self.flood(), 50_000_000)
        burnt = (header_flood_test.processor_seconds(self.server.process) -
                 before)
        self.assertLess(burnt, 1.0)
        self.assertEqual(self.server.metric(
            'qlarank_connections_cut_total{reason="header_block"}'), 0)
        self.assertEqual(len(self.rank(item_ids=[1, 2, 3]).scores), 3)

    def test_one_source_has_so_many_connections(self):
        with contextlib.ExitStack() as stack:
            held = []
            closed = 0
            for _ in range(100):
                try:
                    held.append(stack.enter_context(socket.create_connection(
                        ('127.0.0.1', self.port), timeout=5)))
                except ConnectionResetError:  # closed so soon
                    closed += 1
            time.sleep(0.5)
            for connection in held:
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    with contextlib.suppress(ConnectionResetError):
                        self.assertEqual(connection.recv(1), b'')
                    closed += 1
            self.assertGreaterEqual(closed, 100 - 64)
            self.assertLess(closed, 100)


if __name__ == '__main__':
    unittest.main()
