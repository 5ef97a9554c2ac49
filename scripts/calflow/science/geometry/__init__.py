"""Where pixels lie on the sky: WCS, footprints, planes, maps, output grids."""
