"""The on-disk format of RGB-D frames, TFRecord shards beside one dataset.json, and all that reads or writes it."""
