"""Events that come after later ones are told: the trainer would sort them."""

from bench import served_quality
from trainer import config as config_lib

CONFIG = '''
name = "tiny"
[data]
train = ["events.csv"]
split = "last"
min_item_count = 1
[model]
d_model = 16
num_heads = 2
num_layers = 1
ffn_width = 16
initial_half_lives = [2.0, 50.0]
target_aware = "TARGET_AWARE_OFF"
head_width = 0
[training]
epochs = 1
'''


def test_events_out_of_order_are_counted(tmp_path, programs, run_trainer):
    (tmp_path / 'tiny.toml').write_text(CONFIG)
    (tmp_path / 'events.csv').write_text(
        'user,item,time\nann,1,100\nann,2,300\nann,3,200\nann,1,400\n'
        'bob,1,50\nbob,1,50\nbob,2,60\n')
    run_trainer('train', '--config', tmp_path / 'tiny.toml', '--data', tmp_path,
                '--out', tmp_path / 'run', '--quiet', '--final')
    run_trainer('export', '--model', tmp_path / 'run/model.npz', '--out',
                tmp_path / 'models')
    served = served_quality.serve(
        tmp_path / 'models/tiny/1', config_lib.load(tmp_path / 'tiny.toml'),
        tmp_path, programs)
    assert served.late_events == 1  # Ann's 3; equal times are in order.
