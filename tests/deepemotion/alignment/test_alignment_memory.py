"""Alignment's memory: one subject's series at a time, in blocks of voxels."""

import weakref

import torch
from aligned_samples import CPU, aligned, dense, trial

from deepemotion.alignment import moments
from deepemotion.alignment.moments import AlignedMoments
from deepemotion.labels.table import Labels
from deepemotion.samples.load import load
from deepemotion.samples.volumes import Held
from deepemotion.subject_file.reader import SubjectFile


def test_no_two_films_are_in_memory_at_once(tiny_packed, tiny_labels, monkeypatch):
    films, load_one = [], AlignedMoments.of

    def of(*arguments):
        assert [film for film in films if film()] == []
        made = load_one(*arguments)
        films.append(weakref.ref(made._series))
        return made

    monkeypatch.setattr(AlignedMoments, "of", of)
    aligned(tiny_packed, tiny_labels, trial())
    assert len(films) == 6


def test_blocks_of_voxels_of_any_size_give_the_same(tiny_packed, tiny_labels, monkeypatch):
    whole = dense(aligned(tiny_packed, tiny_labels, trial()))
    monkeypatch.setattr(moments, "BLOCK_VOXELS", 101)
    torch.testing.assert_close(dense(aligned(tiny_packed, tiny_labels, trial())), whole, atol=2e-3, rtol=0)


def test_memory_grows_with_voxels_times_volumes_not_voxels_squared(tiny_packed, tiny_labels, monkeypatch):
    voxels = 300_000
    small = load(tiny_packed, ["01"], Labels.read(tiny_labels), trial().data)
    total = len(small)
    wide = {"offset_GV": 0.0, "gain_GV": 1e-3, "trend_GV": 0.0}
    big = moments.replace(
        small,
        voxels_V=torch.arange(voxels),
        volumes=Held(torch.randint(-3000, 3000, (total, voxels), dtype=torch.int16)),
        **{name: torch.full((8, voxels), value) for name, value in wide.items()},
    )
    monkeypatch.setattr(moments, "load_opened", lambda *_, **__: big)
    sizes = []
    kept = moments.Samples.values
    monkeypatch.setattr(moments.Samples, "values", lambda *a: sizes.append(kept(*a)) or sizes[-1])
    with SubjectFile.of(tiny_packed, "01") as file:
        own = AlignedMoments.of(file, big.grid, trial())
    # Voxels by voxels would be 360 GB.
    assert own.gram(CPU).shape == (len(own.moment_T),) * 2
    assert max(x.numel() for x in sizes) <= total * moments.BLOCK_VOXELS
