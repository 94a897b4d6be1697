"""Pictures of games in which all decide once."""

import dataclasses

import numpy as np

import nashfield as nf


def test_one_decision_is_a_bar_an_action(solution_of):
    """Of the meeting, with actions that nobody takes left out; of the bar, both."""
    ax = nf.plotting.plot_policy(solution_of(nf.games.ElFarolBar()))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["stay", "go"]
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(sum(heights), 1, rtol=1e-6)
    game = nf.games.MeetingTime()
    solution = solution_of(game)
    policy = np.zeros_like(solution.policy)
    policy[0, :, 40], policy[0, :, 42] = 0.25, 0.75
    ax = nf.plotting.plot_policy(dataclasses.replace(solution, policy=policy))
    assert [bar.get_height() for bar in ax.patches] == [0] * 5 + [0.25, 0, 0.75] + [0] * 5
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names[5] == game.display.actions[40]


def test_an_action_among_thousands_is_still_a_bar(solution_of):
    game = nf.games.MeetingTime(num_actions=2001)
    solution = solution_of(game)
    policy = np.full_like(solution.policy, 1 / 2001)
    ax = nf.plotting.plot_policy(dataclasses.replace(solution, policy=policy))
    assert len(ax.patches) == 2001
