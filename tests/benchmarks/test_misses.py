from __future__ import annotations

import pytest
import scipy.stats

from soloist.benchmarks.misses import Count, blocks_needed, by_chance, hopeless, try_out, verdict

QUIET = Count(30_000, 0)


@pytest.mark.parametrize(("misses", "blocks"), [(0, 100), (1, 22_500), (7, 30_000), (100, 100)])
def test_bounds_are_clopper_and_pearsons(misses: int, blocks: int) -> None:
    count = Count(blocks, misses)
    beta = scipy.stats.beta
    upper = beta.ppf(0.95, misses + 1, blocks - misses) if misses < blocks else 1.0
    lower = beta.ppf(0.05, misses, blocks - misses + 1) if misses else 0.0
    assert count.at_most() == pytest.approx(upper, rel=1e-6)
    assert count.at_least() == pytest.approx(lower, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("ours", "machine"),
    [((30_000, 9), (30_000, 4)), ((22_500, 3), (45_000, 0)), ((1000, 200), (3000, 650))],
)
def test_the_comparison_is_the_binomial_test_of_all_misses(
    ours: tuple[int, int], machine: tuple[int, int]
) -> None:
    share = ours[0] / (ours[0] + machine[0])
    test = scipy.stats.binomtest(ours[1], ours[1] + machine[1], share, alternative="greater")
    assert by_chance(Count(*ours), Count(*machine)) == pytest.approx(test.pvalue, rel=1e-9)


def test_a_setting_holds_once_no_miss_was_seen_for_long_enough() -> None:
    assert blocks_needed(1e-4) == 29_956
    assert verdict(Count(29_956, 0), QUIET, 1e-4) == "holds"
    assert verdict(Count(29_955, 0), QUIET, 1e-4) == "misses"
    assert verdict(Count(60_000, 1), QUIET, 1e-4) == "holds"


@pytest.mark.parametrize(
    ("ours", "machine", "expected"),
    [
        (3, 0, "misses"),  # nobody but us missed any
        (3, 5, "as good as the machine"),
        (5, 3, "as good as the machine"),  # within the limit of 3 in 30,000 above, and by chance
        (7, 3, "misses"),  # more than the limit above the machine's share
        (60, 58, "as good as the machine"),
    ],
)
def test_a_noisy_machine_is_not_held_against_a_setting(
    ours: int, machine: int, expected: str
) -> None:
    assert verdict(Count(30_000, ours), Count(30_000, machine), 1e-4) == expected


def test_masks_may_be_held_now_and_then() -> None:
    """Whose masks are held all the time does not hold, though it misses no block."""
    counts = [Count(30_000, 0, 30_000, held) for held in (0, 300, 301)]
    assert [verdict(each, QUIET, 1e-4) for each in counts] == ["holds", "holds", "misses"]
    assert counts[2] - counts[1] == Count(0, 0, 0, 1)
    assert str(counts[1]) == "0 of 30000 blocks, older masks in 300 of 30000 hops"
    assert counts[1] + counts[2] == Count(60_000, 0, 60_000, 601)


def test_what_is_surely_more_is_given_up_early() -> None:
    assert hopeless(Count(4000, 40), Count(4000, 0), 1e-4)
    assert not hopeless(Count(4000, 4), Count(4000, 0), 1e-3)
    assert not hopeless(Count(4000, 40), Count(4000, 38), 1e-4)
    assert not hopeless(Count(4000, 0), Count(), 1e-4)


def test_both_play_in_turns_for_as_long_as_it_takes() -> None:
    lengths: dict[str, list[float]] = {"ours": [], "copying": []}
    told: list[float] = []

    def client(name: str, misses: int) -> object:
        def play(seconds: float) -> Count:
            lengths[name].append(seconds)
            return Count(round(100 * seconds), misses)

        return play

    trial = try_out(client("ours", 0), client("copying", 1), 1e-2, 25.0, 10.0, told.append)  # type: ignore[arg-type]
    assert lengths == {"ours": [10.0, 10.0, 5.0], "copying": [10.0, 10.0, 5.0]}
    assert told == [0.4, 0.8, 1.0]
    assert (trial.ours, trial.machine) == (Count(2500, 0), Count(2500, 3))
    assert trial.verdict == "holds"
    lengths["ours"].clear()
    trial = try_out(client("ours", 500), client("copying", 0), 1e-2, 25.0, 10.0)  # type: ignore[arg-type]
    assert (trial.verdict, lengths["ours"]) == ("misses", [10.0])
