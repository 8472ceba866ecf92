"""Benchmarks work in their short form, and what is worked out from them is right."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
import plan
import run as command
from parts.environments import NAMES, PEERS, Environments
from parts.measure import Job, Run, measured
from parts.part import Part
from parts.report import figures, number, table

BENCHMARKS = Path(command.__file__).parent


def ran(*words):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "run.py"), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def a_run(seconds, *, failed=""):
    return Run(wall=seconds, cpu=seconds, peak_mb=100.0, told={}, failed=failed)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmarks")


# -- the short form --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("part", command.PARTS)
def test_every_part_works(part, work):
    done = ran("--work", work, "--short", "--no-peers", "--only", part)
    assert done.returncode == 0, done.stderr
    kept = json.loads((work / "side_by_side.json").read_text())["tables"]
    mine = [found for found in kept.values() if found["part"] == part]
    assert mine
    for found in mine:
        assert f"## {found['title']}" in (work / "side_by_side.md").read_text()
        for row in found["rows"]:
            assert "failed" not in row, row
            assert row["seconds"]["median"] > 0
            # A loop over the same tiles comes to the same map, but for ties at rounding level.
            assert row.get("same", 1.0) > 0.999, row


def test_parts_are_listed_and_others_refused(work):
    assert ran("--list").stdout.split() == list(command.PARTS)
    done = ran("--work", work, "--only", "prediction,speed")
    assert done.returncode == 2
    assert "no part speed" in done.stderr


# -- measuring -------------------------------------------------------------------------------------


def test_a_process_is_measured_from_outside(tmp_path):
    out = tmp_path / "out"
    out.write_text("of the run before")
    lines = (
        "import json, pathlib, sys, time; assert not pathlib.Path(sys.argv[1]).exists(); "
        "x = bytearray(200 << 20); time.sleep(0.2); print('note'); "
        "print(json.dumps({'seconds': 0.125, 'left': 3}))"
    )
    run = measured(Job(name="one", words=(sys.executable, "-c", lines, str(out)), out=out))
    assert run.seconds == 0.125
    assert run.wall > 0.2
    assert run.told["left"] == 3
    # A process begins with the peak of the one that starts it, and this one may have had more.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert 200 < run.peak_mb < max(2000, 1.1 * ours)
    assert not run.failed


def test_a_peer_that_fails_is_told_of_and_geoseg_that_fails_ends_all():
    words = (sys.executable, "-c", "import sys; sys.exit('no such thing')")
    assert measured(Job(name="peer", words=words)).failed == "no such thing"
    with pytest.raises(SystemExit, match="no such thing"):
        measured(Job(name="geoseg", words=words, ours=True))


# -- tables ----------------------------------------------------------------------------------------


def test_ratios_are_taken_round_by_round():
    jobs = (
        Job(name="geoseg", words=(), ours=True),
        Job(name="steady", words=()),
        Job(name="slow", words=(), slow=True),
        Job(name="broken", words=()),
    )
    part = Part(name="p", title="P", about="A.", jobs=jobs, megapixels=8.0)
    runs = {
        "geoseg": [a_run(1), a_run(2), a_run(4)],
        "steady": [a_run(3), a_run(4), a_run(20)],
        "slow": [a_run(9), None, None],
        "broken": [a_run(1, failed="lost | its way"), None, None],
    }
    found = figures(part, runs, {"steady": 0.5})
    ours, steady, slow, broken = found["rows"]
    assert ours["ratio"]["median"] == 1
    assert ours["mpx_s"] == 4
    assert steady["ratio"] == {"median": 3, "least": 2, "most": 5, "runs": 3}
    assert slow["ratio"] == {"median": 9, "least": 9, "most": 9, "runs": 1}
    assert broken["failed"] == "lost | its way"
    lines = table(found)
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert any("3.00 (2.00–5.00)" in line and "50.000 %" in line for line in lines)
    assert any("lost / its way" in line for line in lines)


def test_work_counts_without_imports_where_a_process_says_so():
    jobs = (Job(name="geoseg", words=()), Job(name="peer", words=()))
    part = Part(name="p", title="P", about="A.", jobs=jobs)
    runs = {
        "geoseg": [Run(wall=10, cpu=1, peak_mb=1, told={"seconds": 2.0})],
        "peer": [Run(wall=30, cpu=1, peak_mb=1, told={"seconds": 8.0})],
    }
    assert figures(part, runs, {})["rows"][1]["ratio"]["median"] == 4


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.123"), (0.00926, "0.00926"), (12.34, "12.3"), (1234.5, "1,234"), (99.96, "100.0")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_one_part_run_again_leaves_the_others(tmp_path):
    def made(name, part, seconds):
        row = {"name": "geoseg", "ours": True, "failed": str(seconds)}
        return {"name": name, "part": part, "title": name, "about": "A.", "beside": "geoseg",
                "rows": [row], "load": 0.0, "date": "2026-01-01", "machine": "m"}  # fmt: skip

    command.keep(tmp_path, made("tiling", "tiling", 1), {"geoseg": "0"})
    command.keep(tmp_path, made("prediction-null", "prediction", 1), {"geoseg": "0"})
    command.keep(tmp_path, made("tiling", "tiling", 2), {"geoseg": "1"})
    kept = json.loads((tmp_path / "side_by_side.json").read_text())
    assert list(kept["tables"]) == ["prediction-null", "tiling"]
    assert kept["tables"]["tiling"]["rows"][0]["failed"] == "2"
    assert "geoseg 1" in (tmp_path / "side_by_side.md").read_text()


# -- environments ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_peers_are_pinned_by_name_and_number(name):
    lines = (PEERS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#")
    for line in lines[1:]:
        package, same, version = line.partition("==")
        assert same, line
        assert package.replace("-", "").replace("_", "").replace(".", "").isalnum(), line
        assert version[0].isdigit(), line


def test_an_environment_of_other_requirements_is_not_used(tmp_path):
    environments = Environments(folder=tmp_path)
    assert environments.python("num") is None
    (tmp_path / "num").mkdir()
    environments._mark("num").touch()
    assert environments.python("num") == str(tmp_path / "num" / "bin" / "python")
    environments._mark("num").rename(tmp_path / "num" / "made-of-others")
    assert environments.python("num") is None
    assert environments.versions("scipy")["scipy"]


# -- planning --------------------------------------------------------------------------------------


def test_what_a_country_costs_by_hand():
    assert plan.pixels_of(100_000, 0.8) == pytest.approx(1.5625e11)
    # Half the stride: four times the tiles.
    assert plan.rate_at(6.0, 144) == 6.0
    assert plan.rate_at(6.0, 72) == 1.5
    # 3,600 Mpx at 1 Mpx/s on two machines: half an hour.
    assert plan.hours_of(3.6e9, 1.0, 2) == 0.5
    # 8 Gbit/s are 1,000 MB/s; a machine of 5 Mpx/s at 4 bytes a pixel takes 20 of them.
    assert plan.machines_of_link(5.0, 4.0, plan.Means(link_gbit=8.0)) == 50


def test_a_plan_says_what_binds(capsys, monkeypatch):
    def told(*words):
        monkeypatch.setattr(sys, "argv", ["plan.py", *words])
        plan.main()
        return capsys.readouterr().out

    few = told("--area-km2", "640", "--pixel", "0.8", "--rate", "10", "--scene-bytes", "2")
    assert "| 640 km² | 1e+09 | 1 | 2 GB |" in few
    assert "| yours | 144 | 10 | 0 | 1 | 20 MB/s | 62 | prediction |" in few
    slow = told("--area-km2", "1e7", "--rate", "10", "--scene-bytes", "2", "--link-gbit", "0.1")
    assert "the storage |" in slow
    assert "machines: " in told("--area-km2", "640", "--rate", "10", "--machines", "3")


@pytest.mark.parametrize("words", [("--pixel", "0"), ("--rate", "nan"), ("--stride", "-1")])
def test_a_plan_of_nonsense_is_refused(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plan.py", "--area-km2", "1", *words])
    with pytest.raises(SystemExit):
        plan.main()
    assert words[0] in capsys.readouterr().err


def test_rates_are_read_of_what_was_measured(tmp_path):
    row = {"name": "geoseg", "mpx_s": 5.0, "out_mb": 2.0}
    found = {
        "rows": [row], "megapixels": 16.0, "scene_mb": 80.0, "machine": "m", "date": "d",
        "load": 0.1,
    }  # fmt: skip
    path = tmp_path / "side_by_side.json"
    path.write_text(json.dumps({"tables": {"prediction-tiny": found}}))
    (one,) = plan.measured(path)
    assert (one.name, one.mpx_s, one.scene_bytes, one.map_bytes) == ("tiny U-Net", 5.0, 5.0, 0.125)
    assert "4,000² px" in one.where
    assert plan.measured(tmp_path / "none.json") == []
