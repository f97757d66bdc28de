"""Controls without a brain: what a volume's place among the others, the stimulus or the scanner alone can decode.

From outside: `load.load_control` makes samples like those of `deepemotion.samples`, of features instead of voxels.
"""
