"""Clients that were not written for qlarank find its services and rank."""

import json
import pathlib
import shutil
import subprocess
import sys
import unittest

import server_process

SERVICES = ['grpc.health.v1.Health', 'qlarank.v1.IngestService',
            'qlarank.v1.ModelService', 'qlarank.v1.RankService',
            'qlarank.v1.StateService']
CLIENT = pathlib.Path(__file__).parent / 'reflection_client.py'


class ReflectionClient(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.context = server_process.serving()
        cls.server = cls.context.__enter__()
        cls.server.cli('append', '--user', 'ann', '--item', 1,
                       '--action', 'buy', '--time', 1_500_000_000)

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def run_client(self, *command):
        result = subprocess.run(command, capture_output=True, text=True,
                                timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def assert_ranked(self, text):
        # Clients write modelName or model_name, as they like.
        reply = {name.replace('_', '').lower(): value
                 for name, value in json.loads(text).items()}
        self.assertEqual(len(reply['scores']), 3)
        self.assertEqual(sorted(reply['order']), [0, 1, 2])
        self.assertEqual(reply['tasks'], ['buy'])
        self.assertEqual(reply['modelname'], server_process.MODEL)
        self.assertTrue(reply['state']['found'])

    REQUEST = json.dumps({'userId': 'ann', 'itemIds': ['1', '2', '3'],
                          'topK': 3, 'minEventCount': '1',
                          'requestTime': '2017-07-14T02:41:00Z'})

    def test_python_lists_the_services(self):
        listed = self.run_client(sys.executable, CLIENT, self.server.address,
                                 'list').split()
        self.assertLessEqual(set(SERVICES), set(listed))

    def test_every_service_that_is_listed_can_be_described(self):
        for service in self.run_client(sys.executable, CLIENT,
                                       self.server.address, 'list').split():
            self.assertTrue(self.run_client(
                sys.executable, CLIENT, self.server.address, 'describe',
                service).split(), service)

    def test_python_asks_for_health(self):
        reply = json.loads(self.run_client(
            sys.executable, CLIENT, self.server.address, 'call',
            'grpc.health.v1.Health/Check',
            '{"service": "qlarank.v1.RankService"}'))
        self.assertEqual(reply, {'status': 'SERVING'})

    def test_python_calls_rank(self):
        self.assert_ranked(self.run_client(
            sys.executable, CLIENT, self.server.address, 'call',
            'qlarank.v1.RankService/Rank', self.REQUEST))

    def test_python_learns_what_to_ask(self):
        reply = json.loads(self.run_client(
            sys.executable, CLIENT, self.server.address, 'call',
            'qlarank.v1.ModelService/GetModel', '{}'))
        self.assertEqual(reply['model']['name'], server_process.MODEL)
        self.assertEqual(reply['model']['state'], 'MODEL_STATE_SERVING')
        self.assertEqual([task['name']
                          for task in reply['model']['schema']['tasks']],
                         ['buy'])

    @unittest.skipUnless(shutil.which('grpcurl'), 'grpcurl is not installed')
    def test_grpcurl_lists_the_services_and_calls_rank(self):
        listed = self.run_client('grpcurl', '-plaintext', self.server.address,
                                 'list').split()
        self.assertLessEqual(set(SERVICES), set(listed))
        for service in listed:
            self.run_client('grpcurl', '-plaintext', self.server.address,
                            'describe', service)
        self.assert_ranked(self.run_client(
            'grpcurl', '-plaintext', '-d', self.REQUEST, self.server.address,
            'qlarank.v1.RankService/Rank'))


if __name__ == '__main__':
    unittest.main()
