"""The packed subject file, sub-XX.h5: its format, reader, writer and verification.

From outside: `reader.SubjectFile` to read one, `writer.new_subject_file` to make one, `verify.problems` to check one.
"""
