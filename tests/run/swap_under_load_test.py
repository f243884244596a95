"""What the demo shows of a swap is what was measured."""

import importlib.util
import json
import pathlib
import struct
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location(
    'swap_under_load', ROOT / 'scripts/swap_under_load.py')
swap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(swap)


class PlotTest(unittest.TestCase):

    def test_a_line_has_its_second(self):
        requests = [(100 + second + i / 10, 10. * (1 + second), swap.OK)
                    for second in range(3) for i in range(9)]
        requests.append((101.95, 999., 14))  # not answered
        lines = swap.plot(requests, [(101.2, 'load'), (101.9, 'label')])
        self.assertEqual([line.split()[:3] for line in lines[1:]],
                         [['0', '10.0', '10.0'], ['1', '20.0', '20.0'],
                          ['2', '30.0', '30.0']])
        self.assertTrue(lines[2].endswith('load, label'))
        self.assertEqual(lines[3].count('█'), swap.BAR)
        self.assertEqual(lines[1].count('█'), round(swap.BAR / 3))

    def test_p99_of_few_is_the_longest(self):
        self.assertEqual(swap.p99([3, 9, 1]), 9)
        self.assertEqual(swap.p99(range(100)), 98)
        self.assertEqual(swap.p99(range(1000)), 989)

    def test_an_item_has_its_embedding(self):
        bundle = ROOT / 'tests/golden/dot_l4_silu/bundle'
        contents = (bundle / 'items.safetensors').read_bytes()
        header = json.loads(contents[8:8 + int.from_bytes(contents[:8],
                                                          'little')])
        width = header['item_embedding']['shape'][1]
        begin, end = header['item_ids']['data_offsets']
        data = contents[8 + int.from_bytes(contents[:8], 'little'):]
        ids = struct.unpack(f'<{(end - begin) // 8}Q',
                            data[begin:end])
        rows, _ = header['item_embedding']['data_offsets']
        expected = struct.unpack_from(f'<{width}f', data,
                                      rows + 4 * width * len(ids))
        self.assertEqual(swap.embedding(bundle, ids[-1]), list(expected))

    def test_a_timeline_is_read(self):
        with tempfile.NamedTemporaryFile('w') as file:
            file.write('load,1.5,3.25,0\nload,1.6,4.5,8\n')
            file.flush()
            self.assertEqual(swap.read(file.name),
                             [(1.5, 3.25, 0), (1.6, 4.5, 8)])


if __name__ == '__main__':
    unittest.main()
