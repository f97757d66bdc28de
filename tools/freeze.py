"""Prints what is installed in this environment as pip constraints, for constraints.txt."""

import importlib.metadata

# Not of the project: what every environment has, and the project itself.
LEFT_OUT = ("deepemotion", "pip", "setuptools", "wheel")
# torch chooses its CUDA packages by platform, and pins them itself.
LEFT_TO_TORCH = ("cuda-", "nvidia-", "triton")

versions = {
    distribution.metadata["Name"].lower().replace("_", "-"): distribution.version.partition("+")[0]
    for distribution in importlib.metadata.distributions()
}
print("# The versions that are tested together. Made with `make constraints`.")
for name, version in sorted(versions.items()):
    if name not in LEFT_OUT and not name.startswith(LEFT_TO_TORCH):
        print(f"{name}=={version}")
