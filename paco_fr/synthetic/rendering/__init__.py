"""From a head to a picture: camera, light, occluders, background, rasteriser."""
