"""The committed descriptor set is what protoc makes of the .proto."""

import pathlib
import shutil
import subprocess

import pytest
from google.protobuf import descriptor_pb2

from trainer import spec_schema

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _described(data):
    return descriptor_pb2.FileDescriptorSet.FromString(data)


@pytest.mark.skipif(not shutil.which('protoc'), reason='protoc is absent')
def test_the_descriptor_set_is_that_of_the_proto_files(tmp_path):
    made = tmp_path / 'made.binpb'
    subprocess.run(
        ['protoc', f'--proto_path={ROOT / "proto"}',
         f'--descriptor_set_out={made}',
         'qlarank/model/v1/golden_requests.proto',
         'qlarank/model/v1/model_spec.proto'],
        check=True)
    assert _described(made.read_bytes()) == _described(
        spec_schema.FILE.read_bytes()), spec_schema.__doc__


def test_enums_have_names_and_numbers():
    assert spec_schema.Phi2.Name(1) == 'PHI2_IDENTITY'
    assert spec_schema.Phi2.Value('PHI2_SILU') == 2
    with pytest.raises(ValueError, match='Phi2 has no value 99'):
        spec_schema.Phi2.Name(99)
    with pytest.raises(ValueError, match='TargetAware has no value X'):
        spec_schema.TargetAware.Value('X')
