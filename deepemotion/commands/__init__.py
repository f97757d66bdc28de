"""The commands of `deepemotion`, one a file: options in, one call into the package, result out."""
