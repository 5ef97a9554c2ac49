"""The accuracy benchmark's figures, on numbers worked out by hand."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from calflow.science.windows import Window
from calflow.simulation import INSTRUMENTS, Scene
from calflow.simulation.geometry import Geometry, Optics, Pointing

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import accuracy
import truth

MAS = 1 / 3.6e6  # degrees
# At declination 60 a step in right ascension is half as long on the sky.
DEC = 60.0


def sources(*offsets, flux=None, kind=None):
    """Return sources at offsets in mas to the east and north of RA 0, across which they lie."""
    east, north = np.array(offsets, float).reshape(-1, 2).T
    n = len(east)
    return Table(
        {
            "ra": (east * MAS / np.cos(np.radians(DEC))) % 360,
            "dec": DEC + north * MAS,
            "flux": np.ones(n) if flux is None else np.array(flux, float),
            "type": ["star"] * n if kind is None else kind,
        }
    )


def catalog(*offsets, flux=None):
    """Return a catalogue with rows at such offsets."""
    rows = sources(*offsets, flux=flux)
    position = SkyCoord(rows["ra"], rows["dec"], unit="deg")
    return Table({"sky_centroid": position, "aper_total_flux": rows["flux"]})


def geometry(roll=30.0):
    return Geometry(Optics(INSTRUMENTS["nircam_f200w"]), Window(1001, 1001, 64, 48), Pointing(0.0, DEC, roll))


def moved(true, east, north):
    """Return a transform that errs by `east` and `north` mas."""

    def to_sky(x, y):
        ra, dec = true.to_sky(x, y)
        return ra + east * MAS / np.cos(np.radians(dec)), dec + north * MAS

    return to_sky


def test_exposures_that_agree_have_no_offsets_wherever_they_all_are():
    true = geometry()
    found = truth.offsets([true] * 3, [moved(true, 40.0, -30.0)] * 3)
    assert found.shape == (3 * 49,)
    assert found == pytest.approx(0, abs=1e-4)


def test_offset_of_one_exposure_is_its_own():
    """The median of 0, 0 and 30, 40 is 0, 0: the third is 50 mas off, and nobody else."""
    true = geometry()
    transforms = [moved(true, 0, 0), moved(true, 0, 0), moved(true, 30, 40)]
    found = truth.offsets([true] * 3, transforms).reshape(3, 49)
    assert found[:2] == pytest.approx(0, abs=1e-4)
    assert found[2] == pytest.approx(50, abs=0.01)


def test_rotation_is_seen_at_the_corners():
    """0.01 deg about the reference point, from which the farthest corner is 39.5 columns and 23.5 rows away."""
    true, turned = geometry(), geometry(roll=30.01)
    found = truth.offsets([true] * 3, [true.to_sky, true.to_sky, turned.to_sky]).reshape(3, 49)
    scale = true.optics.instrument
    corner = np.hypot(39.5 * scale.x_scale, 23.5 * scale.y_scale) * 1e3
    assert found[2].max() == pytest.approx(corner * np.radians(0.01), rel=0.01)


def test_sky_levels_count_by_their_differences():
    true = np.array([1.0, 1.2, 1.1])
    assert truth.sky_errors(true - 1.0, true, 0.1) == pytest.approx(0, abs=1e-12)
    assert truth.sky_errors(np.array([0.0, 0.2, 0.15]), true, 0.1) == pytest.approx([0, 0, 0.5])


def test_exposures_without_a_level_are_left_out():
    true = np.array([1.0, 1.2, 1.1])
    assert truth.sky_errors(np.array([0.0, np.nan, 0.1]), true, 0.1) == pytest.approx([0, 0], abs=1e-12)
    assert truth.sky_errors(np.full(3, np.nan), true, 0.1).size == 0


def test_coverage_counts_the_exposures_that_look():
    """A second exposure 16 columns further on sees the left 48 columns of the first; a third one nothing of it."""
    true = geometry(roll=0.0)
    beside = Geometry(true.optics, Window(true.window.xstart - 16, 1001, 64, 48), true.pointing)
    away = Geometry(true.optics, Window(1, 1, 64, 48), true.pointing)
    count = truth.coverage(true, [true, beside, away])
    assert count.shape == (48, 64)
    assert (count[:, :48] == 2).all()
    assert (count[:, 48:] == 1).all()


def test_cosmic_rays_are_counted():
    strength = np.array([0.0, 0.0, 0.0, 5.0, 7.0, 9.0, 20.0])
    flagged = np.array([0, 0, 1, 0, 1, 1, 1], bool)
    assert truth.count_rays(strength, flagged) == {
        "rays": 4,
        "rays_found": 3,
        "bright_rays": 2,
        "bright_rays_found": 2,
        "good": 3,
        "good_flagged": 1,
    }


def test_cores_are_three_by_three_pixels_about_bright_stars():
    """Stars at pixels (10, 20) and (0, 0), where a quarter is left; a faint one and a galaxy have none."""
    scene, true = Scene("nircam_f200w"), geometry()
    limit = truth.star_limit(scene)
    ra, dec = true.to_sky(np.array([10.3, 0.0, 30.0, 40.0]), np.array([19.6, 0.0, 30.0, 40.0]))
    flux, kind = np.array([2, 2, 0.9, 9]) * limit, ["star", "star", "star", "galaxy"]
    mask = truth.star_cores(scene, Table({"ra": ra, "dec": dec, "flux": flux, "type": kind}), true)
    expected = np.zeros((48, 64), bool)
    expected[19:22, 9:12] = expected[:2, :2] = True
    np.testing.assert_array_equal(mask, expected)


def test_match_is_mutual_and_near():
    """Two rows at the first source: the nearer one has it. The third source is 70 mas from its row: too far for 60."""
    true = sources((0, 0), (1000, 0), (2000, 0))
    found = catalog((30, 0), (10, 0), (1000, -40), (2070, 0), (5000, 0))
    source, row, distance = truth.match(true, found, radius=60.0)
    assert source.tolist() == [0, 1]
    assert row.tolist() == [1, 2]
    assert distance == pytest.approx([10, 40], abs=1e-3)


def test_catalogue_is_compared_with_stars_above_the_limit():
    """One FWHM is 64 mas. Four stars, the last one faint, and a galaxy; the second star is missed, a row is nothing."""
    scene = Scene("nircam_f200w")
    limit = truth.star_limit(scene)
    true = sources(
        (0, 0),
        (2000, 0),
        (4000, 0),
        (6000, 0),
        (8000, 0),
        flux=[3 * limit, 3 * limit, 2 * limit, 0.5 * limit, 9 * limit],
        kind=["star", "star", "star", "star", "galaxy"],
    )
    found = catalog(
        (3, 4), (4000, 10), (6000, 0), (8000, 0), (12000, 0), flux=[2.7 * limit, 2.2 * limit, limit, limit, limit]
    )
    figures = truth.compare_catalog(scene, true, found)
    assert (figures["stars"], figures["stars_found"]) == (3, 2)
    assert (figures["entries"], figures["entries_real"]) == (5, 4)
    assert figures["flux_ratios"] == pytest.approx([0.9, 1.1])
    assert figures["distances"] == pytest.approx([5, 10], abs=1e-3)


def test_stars_with_neighbours_and_saturated_stars_are_not_measured():
    """4 FWHM are 258 mas: a neighbour of 2 % disturbs at 200 mas, not at 300; one of 0.5 % never does."""
    scene = Scene("nircam_f200w")
    limit = truth.star_limit(scene)
    flux = np.array([3, 0.06, 3, 0.06, 3, 0.015, 3e4]) * limit
    true = sources((0, 0), (200, 0), (3000, 0), (3300, 0), (6000, 0), (6200, 0), (9000, 0), flux=flux)
    figures = truth.compare_catalog(
        scene, true, catalog((0, 1), (3000, 2), (6000, 3), (9000, 4), flux=flux[[0, 2, 4, 6]])
    )
    assert figures["distances"] == pytest.approx([2, 3], abs=1e-3)
    assert figures["stars_found"] == 4


def test_limit_is_the_flux_of_a_star_of_that_peak():
    """Through the simulator's own rule: a star of peak signal to noise 50 has just this flux."""
    from calflow.simulation.observation import sky_noise
    from calflow.simulation.rendering import peak_fraction
    from calflow.simulation.scene import make_sources

    scene = Scene("niriss_f200w", stars=3, galaxies=0, star_snr=(50.0, 50.0))
    made = make_sources(scene, sky_noise(scene), peak_fraction(scene.preset))
    assert made["flux"] == pytest.approx(truth.star_limit(scene))


def figures(**changes):
    nothing = truth.Figures(
        before=np.array([300.0, 400.0]),
        after=np.array([3.0, 4.0]),
        sky=np.array([-0.2, 0.1]),
        rays=10,
        rays_found=9,
        bright_rays=4,
        bright_rays_found=4,
        good=1000,
        good_flagged=1,
        cores=50,
        cores_flagged=2,
        edge_rays=8,
        edge_rays_found=3,
        edge_bright_rays=4,
        edge_bright_rays_found=2,
        edge_good=1000,
        edge_good_flagged=1,
        stars=20,
        stars_found=19,
        entries=25,
        entries_real=24,
        flux_ratios=np.array([1.0, np.nan, 1.02]),
        distances=np.array([1.0, 2.0, 3.0]),
    )
    return replace(nothing, **changes)


def test_pool_adds_numbers_and_joins_values():
    both = truth.pool([figures(), figures(stars=10, after=np.array([0.0]))])
    assert (both.stars, both.stars_found, both.good_flagged) == (30, 38, 2)
    assert both.after.tolist() == [3.0, 4.0, 0.0]


def test_report_has_a_row_for_each_program(monkeypatch):
    monkeypatch.setattr(accuracy, "versions", lambda python: "calflow 1, jwst 2")
    good = accuracy.Outcome(figures(), ("3",))
    monkeypatch.setattr(accuracy, "CHOICES", {"other": {}})
    worse = accuracy.Outcome(figures(cores_flagged=5), ())
    results = {
        "one": {"calflow": [good, good], "jwst": [good, accuracy.Outcome(None, ("Error: no",))], "other": [worse]}
    }
    table = accuracy.report(results, 2, "python", "2026-01-31").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if line.startswith("|")]
    assert rows[2] == [
        "one",
        "calflow",
        "353.6, 400.0",
        "3.54, 4.00",
        "0.200",
        "90.0, 100.0",
        "37.5, 50.0",
        "0.100, 4.0",
        "0.100",
        "95.0, 96.0",
        "1.010 +- 0.010",
        "2.00",
        "3 (2 of 2)",
    ]
    assert rows[3][:2] == ["", "jwst"]
    assert rows[3][-1] == "3 (1 of 2), no products in 1 of 2"
    # The second table has what a choice may change, beside the default.
    assert rows[4][:3] == ["scene", "", "worst sky error (sigma)"]
    assert rows[6][:2] == ["one", "calflow"]
    assert rows[6][2:] == rows[2][4:]
    assert (rows[7][:3], rows[7][5]) == (["", "other", "0.200"], "0.100, 10.0")
    assert "2 seeds; 2026-01-31." in table[-1]


def test_scatter_is_sigma_of_a_normal_distribution():
    """16 and 84 % of 0 ... 100 are 16 and 84; values that are not there do not count."""
    assert accuracy._scatter(np.append(np.arange(101.0), np.nan)) == pytest.approx(34.0)
    assert np.isnan(accuracy._scatter(np.array([np.nan])))


def test_scenes_are_ones_that_the_simulator_makes():
    for name in accuracy.SCENES:
        accuracy.scene_of(name, seed=1)
