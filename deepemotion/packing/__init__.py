"""Packing: a subject's NIfTI runs, streamed into one subject file.

From outside: `workers.pack_all` packs many subjects, `subject.pack_subject` one; `nifti.read_header` reads a header.
"""
