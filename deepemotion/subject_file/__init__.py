"""The packed subject file, sub-XX.h5: its format, reader, writer and verification.

From outside: `reader.SubjectFile` to read one, `writer.SubjectWriter` to make one, `verify.problems` to check one.
"""
