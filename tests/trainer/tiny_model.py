"""The TOML of a model that takes next to no time."""

MODEL = '''
[model]
d_model = 16
num_heads = 2
num_layers = 1
ffn_width = 16
head_width = 8
initial_half_lives = [4.0, 0.0]
'''
