"""Which pieces of the claim are exchanged for what xfs keeps for itself."""

from __future__ import annotations

from img_tools.erase import claim, xfs
from img_tools.erase.ioctls import Extent

MB = 1 << 20
START = 1 << 30  # where the first piece lies


def swaps(monkeypatch, lengths, *wanted, works=True):
    """What _swap() is called with: pieces of LENGTHS MB lie side by side from START on.

    Each is (neighbour, [(giver, MB)], MB, whether it lies before what is wanted); a neighbour that
    was got by the swap before is None. None of them WORKS as intended if that is false.
    """
    made, held, place, rest = [], [], START, iter(wanted)
    for length in lengths:
        held.append(xfs._Piece(claim.File(3, 1 << 40), Extent(0, place, length * MB)))
        place += length * MB

    def swap(self, neighbour, given, length, *, before):
        made.append((held.index(neighbour) if neighbour in held else None,
                     [(held.index(piece), size / MB) for piece, _, size in given],
                     length / MB, before))
        got = next(rest)[0] if works else 0
        return xfs._Piece(claim.File(4, 1 << 40), Extent(0, got, length))

    monkeypatch.setattr(xfs._Round, "_swap", swap)
    monkeypatch.setattr(xfs._Round, "_free", lambda self, given: None)
    xfs._Round(None, 1 << 40, held).run(sorted(wanted))
    return made


def at(place, length):
    """LENGTH MB from PLACE MB on, counted from START."""
    return START + place * MB, START + (place + length) * MB


def test_thousands_of_pieces_of_xfs_are_exchanged_in_no_time(monkeypatch):
    """Each with one of the same group; all pairs of them would take hours."""
    group, swapped = 1 << 34, []
    held = [xfs._Piece(claim.File(3, 1 << 40), Extent(number << 21, number << 21, MB))
            for number in range(20_000)]
    monkeypatch.setattr(xfs._Round, "_swap", lambda self, *pieces, before: swapped.append(pieces))
    monkeypatch.setattr(xfs._Round, "_free", lambda self, given: None)
    xfs._Round(None, group, held).run(
        [((number << 21) + (3 << 19), (number << 21) + (3 << 19) + 8192)
         for number in range(0, 20_000, 2)])
    assert len(swapped) > 9000
    neighbours = [neighbour for neighbour, _, _ in swapped]
    assert len(neighbours) == len(set(neighbours))
    assert all(one.extent.place // group == other.extent.place // group
               for one, given, _ in swapped for other, _, _ in given)
    gone = [(piece.extent.place, offset, size)
            for _, given, _ in swapped for piece, offset, size in given]
    assert len(gone) == len(set(gone)), "nothing is given twice"


def test_several_pieces_of_xfs_give_for_a_large_one(monkeypatch):
    """One alone would take as many rounds as the wanted one is larger; 1 MB is spare."""
    assert swaps(monkeypatch, [16] * 4, at(64, 40)) == [
        (3, [(1, 16), (0, 16), (2, 8)], 40, True)]


def test_pieces_of_xfs_with_one_neighbour_are_got_one_after_the_other(monkeypatch):
    """Thousands between small files may have one: one in each round left most of them."""
    assert swaps(monkeypatch, [32, 4], at(40, 2), at(50, 1), at(60, 3)) == [
        (1, [(0, 2)], 2, True), (None, [(0, 1)], 1, True), (None, [(0, 3)], 3, True)]


def test_before_all_pieces_of_xfs_the_nearest_is_got_first(monkeypatch):
    """The others took the neighbour round after round, for the sake of one block."""
    near, far = at(-10, 2), at(-20, 1)
    assert swaps(monkeypatch, [64, 32], near, far) == [
        (0, [(1, 2)], 2, False), (None, [(1, 1)], 1, False)]


def test_a_piece_of_xfs_that_was_not_got_ends_the_chain(monkeypatch):
    """What lies elsewhere is no neighbour of the next."""
    assert swaps(monkeypatch, [32, 4], at(40, 2), at(50, 1), works=False) == [
        (1, [(0, 2)], 2, True)]


def test_a_piece_of_xfs_that_is_alone_gives_of_its_own(monkeypatch):
    """But not its end, which is what must lie next to the wanted one, nor its start."""
    for place, before in ((30, True), (-1, False)):
        assert swaps(monkeypatch, [30], at(place, 1)) == [(0, [(0, 2)], 1, before)]
