"""From samples to the views that an encoder is trained on and judged by."""
