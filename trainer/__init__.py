"""Reference model, training, evaluation and bundle export for qlarank."""
