"""Lets this environment import the packages of another one: `python see_packages.py VENV`."""

import sys
import sysconfig
from pathlib import Path

own = sysconfig.get_path("purelib")
other = sysconfig.get_path("purelib", vars={"base": str(Path(sys.argv[1]).absolute())})
# Not the bare path: the other environment's own .pth files, such as that of an editable install, are to be read too.
(Path(own) / "packages-of-the-project.pth").write_text(f"import site; site.addsitedir({other!r})\n", encoding="utf-8")
