"""What several of the trainer's commands are given, and make of it."""

from trainer import config as config_lib


def add_data(parser):
    """Adds --config, --data and --set."""
    add_config(parser)
    parser.add_argument('--data', required=True, metavar='PATH',
                        help='folder with the CSV or Parquet files, or one '
                        'that `prepare` wrote')


def add_config(parser):
    """Adds --config and --set."""
    parser.add_argument('--config', required=True, metavar='FILE',
                        help='the model\'s TOML file, e.g. '
                        'trainer/configs/grocery.toml')
    parser.add_argument('--set', action='append', default=[],
                        metavar='SECTION.FIELD=VALUE',
                        help='change a field of the config, e.g. '
                        'training.epochs=10; may be repeated')


def data(args):
    """The Dataset and the Config of --data, --config and --set."""
    from trainer import dataset
    return dataset.open_data(args.data, config_lib.from_arguments(args))


def device(args):
    """--device, or the GPU if there is one."""
    import torch
    return args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
