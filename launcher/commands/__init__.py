"""The commands of `deepemotion-launch`, one per file. Nothing here is called from outside but by `launcher.cli`."""
