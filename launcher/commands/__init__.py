"""The commands of `deepemotion-launch`, one a file."""
