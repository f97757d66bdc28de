"""Prints what is installed in this environment as pip constraints, for constraints.txt."""

import importlib.metadata

# Not of the project: what every environment has, and the project itself.
LEFT_OUT = {"deepemotion", "pip", "setuptools", "wheel"}

print("# The versions that are tested together. Made with `make constraints`.")  # noqa: T201
versions = {
    distribution.metadata["Name"].lower().replace("_", "-"): distribution.version.partition("+")[0]
    for distribution in importlib.metadata.distributions()
}
for name in sorted(set(versions) - LEFT_OUT):
    print(f"{name}=={versions[name]}")  # noqa: T201
