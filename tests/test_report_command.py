"""mien report: the pages of a folder of results, from made-up results that tests can change."""

import json
from pathlib import Path

import numpy as np
import pytest

import mien as package
from mien import recipes
from mien.figures import save
from mien.recipes import report as pages
from mien.recipes import store
from mien.recipes.collection import collect
from mien.recipes.recipe import FAILS, HOLDS, UNTESTED, Number
from test_cli import mien as run_command

TABLE, TIMING = "vae_wgan/table1", "vae_wgan/timing"


def mien(capsys, *words) -> tuple[int, str]:
    """Run the command; return its exit code and what it prints, on one line."""
    code, text = run_command(capsys, *words)
    return code, " ".join(text.split())


def about(name: str, scale: str, numbers: dict[str, Number], **changes) -> dict:
    """A result as mien reproduce writes it."""
    path = store.path_of(name, scale)
    values = {
        "recipe": name,
        "scale": scale,
        "title": recipes.get(name).title,
        "command": f"mien reproduce {name} --scale {scale}",
        "data": {"name": "celeba", "size": 32, "options": {}, "training": 7200, "held_out": 900, "split": "seeded",
                 "unit": "pixels"},
        "seeds": [0],
        "numbers": {label: number.to_json() for label, number in numbers.items()},
        "skipped": {"layer 1, identity": "dlib is not installed"},
        "verdicts": [],
        "runs": [],
        "figure": path.with_suffix(".png").name,
        "commit": "0123456789ab",
        "versions": {"mien": package.__version__, "torch": "2.11", "numpy": "2.0", "python": "3.11.7"},
        "device": {"device": "cpu", "cores": 2, "threads": 1},
        "date": "2026-11-25",
        "seconds": {"trainings": 9000.0, "measures": 90.0, "this_call": 100.0},
    }  # fmt: skip
    return {**values, **changes}


def put(folder: Path, values: dict) -> Path:
    """Write a result and its figure; return its path."""
    path = store.path_of(values["recipe"], values["scale"], folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")
    save(np.full((6, 1200, 3), 200, np.uint8), path.with_suffix(".png"))
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with two results: Table 1 at the scale small, the timing at the scale smoke."""
    monkeypatch.chdir(tmp_path)
    table = {
        "five layers together": Number((0.8719, 0.8721, 0.8711), (), 900),
        "together minus VAE-345": Number((0.01, 0.011, 0.012), (), 900),
        "together minus VAE-123": Number((-0.01, -0.011, -0.012), (), 900),
    }
    unseen = {"name": "lfw", "size": 32, "options": {}, "pictures": 2075}
    put(store.RESULTS, about(TABLE, "small", table, seeds=[0, 1, 2], unseen=unseen))
    seconds = {"seconds to encode and decode one picture": Number((0.5,), (0.01,), 21)}
    put(store.RESULTS, about(TIMING, "smoke", seconds))
    return tmp_path


def test_each_paper_has_a_page_with_the_papers_numbers_beside_ours(here, capsys):
    code, text = mien(capsys, "report")
    assert (code, text) == (0, "2 results wrote report/index.html wrote report/index.md")
    folder = Path("report")
    assert {path.name for path in folder.iterdir()} == {
        "index.md", "index.html", "figures", *(f"{paper}.md" for paper in recipes.papers())
    }  # fmt: skip
    page = (folder / "vae_wgan.md").read_text(encoding="utf-8")
    for line in (
        "# VAE-WGAN (Hou, Sun, Shen & Qiu, Neurocomputing 2019)",
        "| five layers together | 88.88 % | 87.17 % ± 0.05 % | 900 | 3 |",
        "| VAE-123 | 86.95 % | – | – | – |",
        f"- **{HOLDS}**: Five models of one loss layer each, together, predict attributes better than VAE-345",
        f"- **{FAILS}**: They predict attributes better than VAE-123",
        f"- **{UNTESTED}**: They predict attributes better than each of the five alone",
        "### Scale small",
        pages.MEANING["small"],
        "± is the standard deviation over 3 seeds; n is the number of measured pictures of a seed.",
        "| data | celeba at 32 px |",
        "| pictures | 7,200 for training, 900 held out |",
        "| never trained on | lfw at 32 px, 2,075 pictures |",
        "| commit | 0123456789ab |",
        f"| versions | mien {package.__version__}, torch 2.11, numpy 2.0, python 3.11.7 |",
        "| device | a CPU, 1 thread |",
        "| wall time | 2.5 h of training, 90 s of measures |",
        "| layer 1, identity | dlib is not installed |",
        "mien reproduce vae_wgan/table1 --scale paper",
    ):
        assert line in page.splitlines()
    picture = "figures/vae_wgan-table1.small.png"
    assert f"scale small]({picture})" in page
    assert (folder / picture).read_bytes() == store.path_of(TABLE, "small").with_suffix(".png").read_bytes()
    assert (folder / "index.md").read_text(encoding="utf-8").count(" | not run |") > len(recipes.names())


def test_a_recipe_without_a_result_has_no_number_of_ours(here, capsys):
    mien(capsys, "report")
    page = Path("report", "residual_gan.md").read_text(encoding="utf-8")
    assert "Not run at this scale: smoke, small, paper." in page
    assert "| number |" not in page
    claims = [line for line in page.splitlines() if "residual_gan/table2 |" in line]
    assert len(claims) == len(recipes.get("residual_gan/table2").claims)
    assert all(line.endswith(f"| {' | '.join([pages.NOT_RUN] * 3)} |") for line in claims)


def test_the_html_page_is_one_file(here, capsys):
    mien(capsys, "report")
    page = Path("report", "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert 'width="1000" height="5"' in page, "wide figures are reduced"
    assert "87.17 % ± 0.05 %" in page
    assert "Not in this report" not in page
    for network in ("http://", "https://", "<script", "<link"):
        assert network not in page


def test_results_that_cannot_be_reported_are_one_line_each(here, capsys):
    folder = store.RESULTS
    whole = about(TABLE, "paper", {"five layers together": Number((0.5,), (), 9)})
    wrong = {
        "a.json": "{",
        "b.json": "[1]",
        "c.json": json.dumps({"recipe": "vae_wgan/none", "scale": "small", "numbers": {}}),
        "d.json": json.dumps(whole),
        "e.json": "[" * 100_000,
        "vae_wgan-table1.paper.json": json.dumps({**whole, "seconds": {"trainings": "long"}}),
        "vae_wgan-layers.paper.json": json.dumps({**whole, "recipe": "vae_wgan/layers"}),
        "vae_wgan-labels.paper.json": json.dumps({**whole, "recipe": "vae_wgan/labels", "numbers": {"a": {"n": "x"}}}),
    }
    for name, content in wrong.items():
        (folder / name).write_text(content)
    old = {**about(TIMING, "small", {}), "numbers": json.loads(store.path_of(TIMING, "smoke").read_text())["numbers"]}
    put(folder, {**old, "versions": {**old["versions"], "mien": "0.0.1"}})
    store.path_of(TIMING, "smoke").with_suffix(".png").write_bytes(b"no picture")
    code, text = mien(capsys, "report")
    assert code == 0
    for line in (
        "warning: a.json: damaged: it is not JSON",
        "warning: b.json: not a result of mien reproduce",
        "warning: c.json: a result of another version of mien: this version has no such recipe or scale",
        "warning: d.json: expected the name vae_wgan-table1.paper.json: rename it",
        "warning: e.json: damaged: it is not JSON",
        "warning: vae_wgan-table1.paper.json: damaged, or a result of another version of mien: run the recipe again",
        "warning: vae_wgan-labels.paper.json: damaged, or a result of another version",
        "warning: vae_wgan-layers.paper.json: a result of another version of the recipe, which has no row 'five layers",
        "warning: vae_wgan-timing.smoke.png: the figure is damaged: run mien reproduce vae_wgan/timing --scale smoke",
        f"warning: vae_wgan-timing.small.json: a result of mien 0.0.1; this is mien {package.__version__}",
    ):
        assert line in text
    assert text.count("warning: ") == len(wrong) + 2
    assert "3 results" in text
    index = Path("report", "index.md").read_text(encoding="utf-8")
    assert "| a.json | damaged: it is not JSON |" in index.splitlines()
    assert "a.json: damaged" in Path("report", "index.html").read_text(encoding="utf-8")
    assert mien(capsys, "report", "--check")[0] == 0


def test_check_names_the_stale_pages(here, capsys):
    code, text = mien(capsys, "report", "--check")
    assert code == 1
    assert "stale: report/index.html" in text
    assert not Path("report").exists(), "a check writes nothing"
    mien(capsys, "report")
    assert mien(capsys, "report", "--check") == (0, "")
    path = store.path_of(TABLE, "small")
    put(store.RESULTS, {**json.loads(path.read_text()), "date": "2026-11-26"})
    code, text = mien(capsys, "report", "--check")
    assert code == 1
    assert text == ("stale: report/vae_wgan.md stale: report/index.html run mien report results/recipes --out report")
    assert mien(capsys, "report")[0] == 0
    assert mien(capsys, "report", "--check") == (0, "")
    # another figure: the page holds its SHA-256
    save(np.zeros((6, 8, 3), np.uint8), path.with_suffix(".png"))
    code, text = mien(capsys, "report", "--check")
    assert code == 1
    assert "stale: report/index.html" in text
    assert "stale: report/figures/vae_wgan-table1.small.png" in text


def test_the_bytes_of_pictures_in_the_page_are_not_compared(here, capsys):
    mien(capsys, "report")
    page = Path("report", "index.html")
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("data:image/png;base64,", "data:image/png;base64,AAAA"), encoding="utf-8")
    assert mien(capsys, "report", "--check")[0] == 0
    page.write_text(text.replace("87.17", "99.17"), encoding="utf-8")
    assert mien(capsys, "report", "--check")[0] == 1


def test_files_of_the_user_are_not_replaced(here, capsys):
    Path("mine").mkdir()
    Path("mine", "vae_wgan.md").write_text("my notes")
    code, text = mien(capsys, "report", "--out", "mine")
    assert code == 2
    assert "mine/vae_wgan.md, which this command did not write" in text
    assert [path.name for path in Path("mine").iterdir()] == ["vae_wgan.md"]
    assert mien(capsys, "report", "--out", "mine", "--force")[0] == 0
    assert Path("mine", "vae_wgan.md").read_text(encoding="utf-8").startswith("# VAE-WGAN")
    # the default folder gets a number
    mien(capsys, "report")
    Path("report", "index.md").write_text("my notes")
    assert "wrote report-2/index.html" in mien(capsys, "report")[1]
    assert Path("report", "index.md").read_text() == "my notes"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "expected results in nothing, got none to report: run mien reproduce"),
        (["notes"], "expected a folder of results, got the file notes"),
        (["--out", "notes"], "expected a folder for --out, got notes, a file"),
    ],
)
def test_mistakes_are_one_line(here, capsys, words, message):
    Path("notes").write_text("mine")
    code, text = mien(capsys, "report", *words)
    assert code == 2
    assert message in text
    assert text.count("error: ") == 1
    assert not Path("report").exists()


def test_only_whole_results_are_collected(here):
    collection = collect(store.RESULTS)
    assert set(collection.results) == {(TABLE, "small"), (TIMING, "smoke")} == set(collection.figures)
    assert (collection.faults, collection.remarks) == ((), ())
    assert collection.scales(TABLE) == ["small"]


@pytest.fixture
def report_recipes(monkeypatch):
    """The module tools/report_recipes.py."""
    tools = Path(__file__).parents[1] / "tools"
    if not tools.is_dir():
        pytest.skip("the tests run outside of the project's folder")
    monkeypatch.syspath_prepend(tools)
    import report_recipes

    return report_recipes


def test_the_documentation_has_the_same_pages(report_recipes, here):
    docs = Path("docs")
    assert report_recipes.paper_pages(docs, Path("results")) == {}
    (docs / "papers").mkdir(parents=True)
    text = report_recipes.paper_pages(docs, Path("results"))[docs / "papers" / "vae_wgan.md"]
    assert "| five layers together | 88.88 % | 87.17 % ± 0.05 % | 900 | 3 |" in text.splitlines()
    assert "(../../results/recipes/vae_wgan-table1.small.png)" in text
    assert "Scale smoke" not in text, "results of the scale smoke test the program"
    row = next(line for line in report_recipes.recipe_table(Path("results")).splitlines() if f"`{TABLE}`" in line)
    assert row.endswith("| – | 1 of 3 hold | – |")
    row = next(line for line in report_recipes.paper_table(Path("results")).splitlines() if "vae_wgan.md" in line)
    assert f"| 1 {HOLDS}, 1 {FAILS}, 1 {UNTESTED}," in row


def test_a_damaged_result_of_the_project_is_an_error(report_recipes, here):
    store.path_of(TABLE, "small").write_text("{")
    with pytest.raises(
        package.errors.MienError, match=r"expected whole results, got vae_wgan-table1\.small\.json: damaged"
    ):
        report_recipes.paper_table(Path("results"))
