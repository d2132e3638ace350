"""What is said around a query's words before CLIP embeds them."""

from __future__ import annotations

PROMPTS: dict[str, tuple[str, ...]] = {
    # what CLIPSep-Text was trained on, and what the paper's figure and the demo page show
    "photo": ("a photo of {}",),
    # the words as they are: what the published infer.py does
    "plain": ("{}",),
    # evaluation with --prompt_ens: five strings, one of them twice
    "ensemble": (
        "a photo of {}.",
        "a photo of the small {}.",
        "a photo of the small {}.",
        "a low resolution photo of a {}.",
        "a photo of many {}.",
    ),
    # the same without the repetition, as visualize.py has it
    "ensemble-4": (
        "a photo of {}.",
        "a photo of the small {}.",
        "a low resolution photo of a {}.",
        "a photo of many {}.",
    ),
}
"""By name; where there are several, the mean of their embeddings is taken.

Source: sony/CLIPSep. Its lists of labels hold no commas; underscores stay as they are.
"""


def prompts(words: str, name: str) -> list[str]:
    """The strings to embed for some words."""
    return [template.replace("{}", words) for template in PROMPTS[name]]
