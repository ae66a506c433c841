"""Which pieces of the claim are exchanged for what xfs keeps for itself."""

from __future__ import annotations

from img_tools.erase import claim, xfs
from img_tools.erase.ioctls import Extent


def test_thousands_of_pieces_of_xfs_are_exchanged_in_no_time(monkeypatch):
    """Each once, each with one of the same group; all pairs of them would take hours."""
    group, swapped = 1 << 34, []
    file = claim.File(3, 1 << 40)
    held = [xfs._Piece(file, Extent(number << 21, number << 21, (1 + number % 3) << 19))
            for number in range(20_000)]
    monkeypatch.setattr(xfs._Round, "_swap", lambda self, *pieces: swapped.append(pieces))
    asked = []
    able = xfs._Round._able
    monkeypatch.setattr(xfs._Round, "_able", lambda self, number: (
        asked.append(number), able(self, number))[1])
    xfs._Round(None, group, held).run(
        [((number << 21) + (3 << 19), (number << 21) + (3 << 19) + 8192)
         for number in range(0, 20_000, 2)])
    assert len(asked) < 20 * len(held)
    assert len(swapped) > 1000
    used = [piece for one, given, _, _ in swapped
            for piece in {one, *(other for other, _, _ in given)}]
    assert len(used) == len(set(used))
    assert all(one.extent.place // group == other.extent.place // group
               for one, given, _, _ in swapped for other, _, _ in given)


def swaps(monkeypatch, lengths, *wanted):
    """What _swap() is called with: pieces of LENGTHS bytes lie side by side from 1 GB on."""
    swapped, held, place = [], [], 1 << 30
    for length in lengths:
        held.append(xfs._Piece(claim.File(3, 1 << 40), Extent(0, place, length)))
        place += length
    monkeypatch.setattr(xfs._Round, "_swap", lambda self, *swap: swapped.append(swap))
    xfs._Round(None, 1 << 40, held).run(list(wanted))
    return [(held.index(neighbour), [(held.index(piece), size) for piece, _, size in given],
             length, before) for neighbour, given, length, before in swapped]


def test_several_pieces_of_xfs_give_for_a_large_one(monkeypatch):
    """One alone would take as many rounds as the wanted one is larger."""
    end = (1 << 30) + 4 * (16 << 20)
    assert swaps(monkeypatch, [16 << 20] * 4, (end, end + (40 << 20))) == [
        (3, [(2, 15 << 20), (1, 15 << 20), (0, 10 << 20)], 40 << 20, True)]


def test_the_nearer_of_two_pieces_with_one_neighbour_is_wanted_first(monkeypatch):
    """The other took the neighbour round after round, for the sake of one block."""
    assert swaps(monkeypatch, [16 << 20, 4 << 20], (53248, 57344), (1 << 22, 5 << 20)) == [
        (0, [(1, 1 << 20)], 1 << 20, False)]
    end = (1 << 30) + (20 << 20)
    assert swaps(monkeypatch, [16 << 20, 4 << 20], (end, end + 8192),
                 (2 * end, 2 * end + (8 << 20))) == [(1, [(0, 8192)], 8192, True)]


def test_a_piece_of_xfs_that_is_alone_gives_of_its_own(monkeypatch):
    """But not its end, which is what must lie next to the wanted one."""
    end = (1 << 30) + (30 << 20)
    assert swaps(monkeypatch, [30 << 20], (end, end + (1 << 20))) == [
        (0, [(0, 1 << 20)], 1 << 20, True)]
