"""The benchmark's page: what it shows is what was measured, in a real browser too."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soloist.app.bench.page import page
from soloist.benchmarks.results import ColdStart, Fit, Measurement, Run
from soloist.benchmarks.statistics import Statistics

ARTEFACTS = Path(__file__).parents[3] / "test-artefacts"
PERIOD_US = 128 / 48e-3
WIDTHS = (360, 1240)


def statistics(median_us: float, seed: int, n: int = 4000) -> Statistics:
    """Times with a tail as machines have it; the last one is a stall of 9 ms."""
    rng = np.random.default_rng(seed)
    times = median_us * np.exp(0.2 * rng.standard_normal(n)) + 30 * rng.pareto(2, n)
    times[-1] = 9_000
    return Statistics.of(times, PERIOD_US, np.arange(n) * PERIOD_US / 1e6)


def measurement(name: str, median_us: float, gain: float, **setting: Any) -> Measurement:
    whole = statistics(median_us, 0)
    parts = {"window and FFT": 30.0, "network": 200.0, "inverse FFT, overlap-add": 40.0}
    return Measurement(
        name=name,
        setting={"device": "cpu", "threads": 1, **setting},
        provider="cpu",
        sample_rate=48_000,
        block=128,
        latency={"block collected": 128, "overlap": 128, "block adapter": 0},
        back_to_back=statistics(median_us / 3, 1),
        paced=whole,
        response=whole,
        parts_us={"back to back": parts, "paced": parts},
        cpu_share=0.21,
        warm_up_us=(9_000.0, 800.0, *(median_us for _ in range(17))),
        cold_start=ColdStart(
            processes=5, imported_ms=400.0, loaded_ms=90.0, first_block_ms=4.0, memory_mb=91.0
        ),
        si_sdri_db=gain,
    )


def run(label: str = "a <b>server</b> & more", times: float = 1.0) -> Run:
    return Run(
        label=label,
        taken="2026-01-01T00:00:00+00:00",
        environment={"cpu": "an honest one", "cores": 2, "busy": 0.4, "steal": 0.01, "load": 1.0},
        measurements=(
            measurement("solo", 400.0 * times, 11.7, precision="int8"),
            measurement("solo", 800.0 * times, 11.9, precision="fp32"),
        ),
        wakeups=statistics(60.0, 2),
        absent={"solo, tensorrt": "not there"},
        fits=(
            Fit(
                name="solo",
                setting={"precision": "int8"},
                percentile="p99.9",
                streams=5,
                deadline_us=PERIOD_US,
                tried=((1, 500.0), (2, 900.0), (4, 1800.0), (5, 2500.0), (6, 2900.0), (8, 4000.0)),
            ),
        ),
    )


def drawings(html: str) -> dict[str, ElementTree.Element]:
    found = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    return {svg.get("aria-label", ""): svg for svg in found}


def test_every_chart_is_there_and_each_run_in_it() -> None:
    html = page([run("one"), run("another", 2.0)])
    titles = re.findall(r"<figure><h3>(.*?)</h3>", html)
    assert titles == [
        "How long blocks take",
        "When it happened",
        "Quality beside speed",
        "How many streams fit",
        "Where the time of a block goes",
        "Warm-up",
        "Where the delay comes from",
        "Cold start",
    ]
    tails = drawings(html)["Share of blocks that take as long or longer"]
    lines = [each for each in tails.iter() if each.tag == "polyline"]
    # Two settings in two ways and the empty hops, in two runs.
    assert len(lines) == 2 * (2 * 2 + 1)
    assert {"one: solo, int8", "another: solo, fp32"} <= {*re.findall(r"</span>(.*?)</li>", html)}


def test_a_curve_says_what_the_statistics_say() -> None:
    """The point of the longest block lies at its time and at one in n, by the axes' own labels."""
    html = page([run()])
    svg = drawings(html)["Share of blocks that take as long or longer"]
    labels = {each.text: each.attrib for each in svg.iter() if each.tag == "text"}
    below = {ms: float(labels[f"{ms} ms"]["x"]) for ms in (1, 10)}
    beside = {n: float(labels[f"1 in {n:,}"]["y"]) - 4 for n in (10, 1000)}
    first = next(each for each in svg.iter() if each.tag == "polyline")
    x, y = (float(part) for part in first.attrib["points"].split()[0].split(","))
    ms = 10 ** ((x - below[1]) / (below[10] - below[1]))
    decades = (y - beside[10]) / (beside[1000] - beside[10])
    assert ms == pytest.approx(9.0, rel=0.02)
    assert 10 ** (1 + 2 * decades) == pytest.approx(4000, rel=0.03)


def test_figures_and_what_is_absent_are_said() -> None:
    html, found = page([run()]), run()
    paced = found.measurements[0].paced
    assert paced is not None and f"<td>{paced.percentiles_us['p50']:.1f}</td>" in html
    assert "<td>-</td>" in html  # p99.99 of 4,000
    text = unescape(re.sub(r"<[^>]*>", " ", html))
    assert "Of 4,000 blocks, one due every 2.67 ms" in text
    assert "Not measured: solo, tensorrt: not there" in text
    assert "One core plays 5 streams of solo in time" in text


def test_names_are_text_and_nothing_comes_from_elsewhere() -> None:
    html = page([run()])
    assert escape("a <b>server</b> & more") in html
    assert "<b>" not in html and "<script" not in html
    assert not re.search(r"(src|href)=|url\(|@import|https?:", html)


def test_another_program_is_told_of_like_a_model_of_ours() -> None:
    """Peers have blocks and no empty hops beside them, and nobody has timed their parts."""
    other = replace(run().measurements[0], name="RNNoise", response=None, parts_us=None, held=3)
    text = page([replace(run("peers"), measurements=(other,), wakeups=None), run("one")])
    assert "Of 4,000 blocks, one due every 2.67 ms, one took longer" in text
    assert "Windows came late for 3 hops" in text
    assert "peers: RNNoise" in text


def test_one_setting_without_anything_else_is_a_page() -> None:
    bare = replace(
        run().measurements[0],
        paced=None,
        response=None,
        parts_us=None,
        cpu_share=None,
        warm_up_us=(),
        cold_start=None,
        si_sdri_db=None,
    )
    html = page([replace(run(), measurements=(bare,), wakeups=None, absent=None, fits=())])
    assert "cannot be played live" in html
    assert re.findall(r"<figure><h3>(.*?)</h3>", html) == [
        "How long blocks take",
        "Where the delay comes from",
    ]


def test_more_settings_than_colours() -> None:
    settings = [measurement("solo", 100.0 * n, 11.0, block=n) for n in range(1, 12)]
    html = page([replace(run("one"), measurements=tuple(settings)), run("two")])
    assert "The charts show 6 of 13 settings" in html
    assert html.count("blocks of 11") > 0  # in the tables


# --- in a browser --------------------------------------------------------------------------------

# Tells of each page, shown in a frame as wide as a phone's and a desk's screen: whether it is wider
# than the frame, and which labels of a chart overlap, leave it or are too small to be read.
_LOOK = """
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(frame => {
    const inside = frame.contentDocument, charts = [...inside.querySelectorAll("svg")];
    const bad = [];
    for (const chart of charts) {
      const hull = chart.getBoundingClientRect();
      const texts = [...chart.querySelectorAll("text")].map(t => [t, t.getBoundingClientRect()]);
      const said = t => chart.getAttribute("aria-label") + ": " + t.textContent;
      texts.forEach(([t, a], i) => {
        if (a.height < 9) bad.push(said(t) + " is small: " + a.height);
        if (a.left < hull.left - 1 || a.right > hull.right + 1 || a.bottom > hull.bottom + 1)
          bad.push(said(t) + " is cut off");
        for (const [u, b] of texts.slice(i + 1))
          if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 &&
              b.top < a.bottom - 3) bad.push(said(t) + " meets " + u.textContent);
      });
    }
    return {width: inside.documentElement.scrollWidth, charts: charts.length, bad,
            drawn: charts.every(c => c.getBoundingClientRect().height > 40)};
  });
  document.body.dataset.found = JSON.stringify(found);
});
"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """`browser("--dump-dom", file)` runs Chromium without a screen, network or past."""
    program = shutil.which("chromium") or ""
    if not program:
        reason = "no chromium: tools/install-browser installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                program,
                *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", "--disable-quic", "--disable-dev-shm-usage"),
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--hide-scrollbars",
                "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'chromium'}",
                *map(str, arguments),
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )

    yield call


def frames(html: str) -> str:
    shown = "".join(
        f'<iframe width="{width}" height="3000" style="border: 0" srcdoc="{escape(html)}"></iframe>'
        for width in WIDTHS
    )
    return f"<!doctype html><body>{shown}<script>{_LOOK}</script></body>"


def complaints(run: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in run.stderr.splitlines() if "CONSOLE" in line]


def test_the_page_in_a_browser(browser: Any, tmp_path: Path) -> None:
    html = page([run("a server"), run("another", 2.0)])
    looked = tmp_path / "frames.html"
    looked.write_text(frames(html), "utf-8")
    dumped = browser("--dump-dom", looked.as_uri())
    assert complaints(dumped) == []
    found = json.loads(unescape(re.findall(r'data-found="([^"]*)"', dumped.stdout)[0]))
    for width, each in zip(WIDTHS, found, strict=True):
        assert each == {"width": width, "charts": 8, "bad": [], "drawn": True}
    # The pictures are for people; the tests' artefacts keep them.
    ARTEFACTS.mkdir(exist_ok=True)
    file = tmp_path / "page.html"
    file.write_text(html, "utf-8")
    for name, scheme in (("light", 1), ("dark", 0)):
        picture = ARTEFACTS / f"bench-{name}.png"
        picture.unlink(missing_ok=True)
        settings = f"--blink-settings=preferredColorScheme={scheme}"
        browser("--window-size=1240,2400", settings, f"--screenshot={picture}", file.as_uri())
        assert picture.stat().st_size > 50_000


def test_a_page_that_fetches_something_would_be_found_out(browser: Any, tmp_path: Path) -> None:
    html = page([run()]).replace("</main>", '<img src="http://example.com/x.png"></main>')
    file = tmp_path / "page.html"
    file.write_text(html, "utf-8")
    (complaint,) = complaints(browser("--dump-dom", file.as_uri()))
    assert "Content Security Policy" in complaint
