"""Pure graph functions on depth images: camera geometry, surface normals, gravity and the HHA encoding."""
