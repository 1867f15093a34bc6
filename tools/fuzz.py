"""Damages valid files by chance and opens them with mien's readers: `make torture`.

    python tools/fuzz.py                       # all kinds, 100,000 inputs: about an hour on one core
    python tools/fuzz.py --count 100           # all kinds, 100 inputs of each
    python tools/fuzz.py picture-png celeba-table --count 5000 --seed 3

An input is accepted, and then the result has the promised type and shape, or it is refused by a MienError of one line.
Any other exception, a warning that Python prints, more than 60 seconds, or more than 1 GiB of memory beyond the need is
a failure; the input is kept in --keep. The numbers are stored in results/torture/fuzz.json (with --store).
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import pickle
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torture_record
from PIL import Image

from mien.data.pictures import PILLOW_WARNINGS
from mien.errors import MienError

SECONDS = 60  # of one input
MEMORY = 1024  # MB beyond the need
TEXTS = (
    b"", b"\0", b"NaN", b"-1", b"2", b"1e999", b"9" * 30, b"9" * 5000, "²".encode(), "\u2028".encode(), b"\xff\xfe",
    b"\r", b"\n\n", b'"', b"'", b"[" * 2000, b"{", b"null", b"true", b"../../x", b"-0", b",", b"\x1b[31m", b"0.5",
)  # fmt: skip
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def damaged(data: bytes, rng: np.random.Generator, text: bool = False) -> bytes:
    """Return a copy of a file with one to four errors: bits, bytes, parts, lengths, and words in texts."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not out:
            break
        # headers and tables at both ends decide most
        place = int(rng.integers(len(out)) if rng.random() < 0.5 else min(rng.integers(256), len(out) - 1))
        if rng.random() < 0.15:
            place = len(out) - 1 - place
        kind = int(rng.integers(9 if text else 7))
        length = int(rng.integers(1, 64))
        if kind == 0:
            out[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            out[place : place + length] = rng.bytes(len(out[place : place + length]))
        elif kind == 2:
            del out[place:]
        elif kind == 3:
            del out[place : place + length]
        elif kind == 4:
            out[place:place] = out[place : place + length]
        elif kind == 5:
            size = int(rng.choice([1, 2, 4, 8]))
            number = NUMBERS[int(rng.integers(len(NUMBERS)))] & (256**size - 1)
            order: Literal["big", "little"] = "big" if rng.random() < 0.5 else "little"
            out[place : place + size] = number.to_bytes(size, order)
        elif kind == 6:
            out[place:place] = rng.bytes(length)
        else:  # a word of a text
            end = place
            while end < len(out) and out[end : end + 1] not in b' ,:"\n\t':
                end += 1
            out[place:end] = TEXTS[int(rng.integers(len(TEXTS)))]
    return bytes(out)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
        name: of the kind.
        valid: returns the content of a valid file.
        use: writes a content into an empty folder, reads it as mien does, and checks what it accepts.
        text: whether words are damaged too.
    """

    name: str
    valid: Callable[[], bytes]
    use: Callable[[bytes, Path], None]
    text: bool = False


# -- pictures --


def _image(mode: str) -> Image.Image:
    y, x = np.mgrid[0:24, 0:20]
    colors = np.stack([x * 12, y * 10, (x * y) % 256], -1).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray((x * 3000).astype(np.uint16))
    return Image.fromarray(colors).convert(mode)


def _picture(kind: str, mode: str = "RGB", frames: bool = False, **options: Any) -> Callable[[], bytes]:
    def valid() -> bytes:
        file = io.BytesIO()
        image = _image(mode)
        if frames:
            image.save(file, kind, save_all=True, append_images=[image.rotate(90)], **options)
        else:
            image.save(file, kind, **options)
        return file.getvalue()

    return valid


def _with_exif() -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * 200
    _image("RGB").save(file, "JPEG", exif=exif)
    return file.getvalue()


def _with_profile() -> bytes:
    from PIL import ImageCms

    file, profile = io.BytesIO(), ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    _image("RGB").save(file, "PNG", icc_profile=profile)
    return file.getvalue()


def _open_picture(data: bytes, folder: Path) -> None:
    from mien.data.pictures import open_picture

    path = folder / "a.png"
    path.write_bytes(data)
    image = open_picture(path)
    assert image.mode == "RGB"
    assert min(image.size) >= 8
    assert image.width * image.height <= 64_000_000
    np.asarray(image)


PICTURES = {
    "picture-jpeg": _picture("JPEG"),
    "picture-jpeg-progressive": _picture("JPEG", progressive=True),
    "picture-jpeg-gray": _picture("JPEG", "L"),
    "picture-jpeg-cmyk": _picture("JPEG", "CMYK"),
    "picture-jpeg-exif": _with_exif,
    "picture-png": _picture("PNG"),
    "picture-png-palette": _picture("PNG", "P"),
    "picture-png-alpha": _picture("PNG", "RGBA"),
    "picture-png-16": _picture("PNG", "I;16"),
    "picture-png-1": _picture("PNG", "1"),
    "picture-png-profile": _with_profile,
    "picture-png-animated": _picture("PNG", frames=True),
    "picture-webp": _picture("WEBP"),
    "picture-webp-lossless": _picture("WEBP", "RGBA", lossless=True),
    "picture-webp-animated": _picture("WEBP", frames=True),
    "picture-gif": _picture("GIF", "P"),
    "picture-gif-animated": _picture("GIF", "P", frames=True),
    "picture-bmp": _picture("BMP"),
    "picture-bmp-palette": _picture("BMP", "P"),
    "picture-tiff": _picture("TIFF"),
    "picture-tiff-lzw": _picture("TIFF", compression="tiff_lzw"),
    "picture-tiff-deflate": _picture("TIFF", compression="tiff_adobe_deflate"),
    "picture-tiff-16": _picture("TIFF", "I;16"),
    "picture-tiff-float": _picture("TIFF", "F"),
    "picture-tiff-cmyk": _picture("TIFF", "CMYK"),
    "picture-ppm": _picture("PPM"),
    "picture-pgm": _picture("PPM", "L"),
    "picture-pbm": _picture("PPM", "1"),
    "picture-avif": _picture("AVIF"),
    "picture-jp2": _picture("JPEG2000"),
    "picture-mpo": _picture("MPO", frames=True),
}


# -- data sets --


def _prepare(name: str, folder: Path, **options: Any) -> None:
    """Load a data set as `mien data prepare` does, read all its pictures and check them."""
    from mien import data

    size = options.pop("size", 16)
    dataset = data.load(name, root=folder, size=size, cache=folder.parent / "cache", **options)
    assert len(dataset) > 0
    batch = dataset.batch(np.arange(len(dataset)))
    assert batch.x.isfinite().all()
    assert float(batch.x.abs().max()) <= 1
    dataset.split(0)


def _idx(axes: int) -> bytes:
    shape = (20, 28, 28)[:axes]
    values = (np.arange(int(np.prod(shape))) % (10 if axes == 1 else 256)).astype(np.uint8)
    return bytes([0, 0, 8, axes]) + b"".join(n.to_bytes(4, "big") for n in shape) + values.tobytes()


def _mnist(file: str, pack: Callable[[bytes], bytes] = bytes) -> Callable[[bytes, Path], None]:
    def use(data: bytes, folder: Path) -> None:
        for part in ("train", "t10k"):
            (folder / f"{part}-images-idx3-ubyte").write_bytes(_idx(3))
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(_idx(1))
        (folder / file.removesuffix(".gz")).unlink()
        (folder / file).write_bytes(data)
        _prepare("mnist", folder, size=28)

    del pack
    return use


def _celeba_table() -> bytes:
    rows = "".join(f"{i:06d}.jpg  1 -1  1\n" for i in range(6))
    return f"6\nMale Smiling Young\n{rows}".encode()


def _celeba_csv() -> bytes:
    return ("image_id,Male,Smiling,Young\n" + "".join(f"{i:06d}.jpg,1,-1,1\n" for i in range(6))).encode()


def _celeba_numbers() -> bytes:
    return "".join(f"{i:06d}.jpg {i % 3}\n" for i in range(6)).encode()


def _celeba_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(6):
            archive.writestr(f"img_align_celeba/{i:06d}.jpg", _picture("JPEG")())
    return file.getvalue()


def _celeba(file: str) -> Callable[[bytes, Path], None]:
    def use(data: bytes, folder: Path) -> None:
        files = {
            "img_align_celeba.zip": _celeba_zip,
            "list_attr_celeba.txt": _celeba_table,
            "identity_CelebA.txt": _celeba_numbers,
            "list_eval_partition.txt": _celeba_numbers,
        }
        if file.endswith(".csv"):
            del files["list_attr_celeba.txt"]
        for name, content in files.items():
            (folder / name).write_bytes(content())
        (folder / file).write_bytes(data)
        _prepare("celeba", folder)

    return use


def _omniglot_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(6):
            archive.writestr(f"images_background/Greek/character0{i % 3}/{i:04d}_01.png", _picture("PNG", "1")())
    return file.getvalue()


def _omniglot(data: bytes, folder: Path) -> None:
    (folder / "images_background.zip").write_bytes(data)
    _prepare("omniglot", folder)


def _cifar_binary() -> bytes:
    rows = np.arange(6 * 3073, dtype=np.uint32).astype(np.uint8).reshape(6, 3073)
    rows[:, 0] = np.arange(6)
    return rows.tobytes()


def _cifar_pickle() -> bytes:
    pictures = np.arange(6 * 3072, dtype=np.uint32).astype(np.uint8).reshape(6, 3072)
    return pickle.dumps({b"data": pictures, b"labels": list(range(6))}, protocol=3)


def _cifar(name: str) -> Callable[[bytes, Path], None]:
    def use(data: bytes, folder: Path) -> None:
        (folder / name).write_bytes(data)
        _prepare("cifar10", folder, size=32)

    return use


def _frey_npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, images=(np.arange(12 * 28 * 20) % 251).astype(np.uint8).reshape(12, 28, 20))
    return file.getvalue()


def _frey_mat() -> bytes:
    from scipy.io import savemat

    file = io.BytesIO()
    savemat(file, {"ff": (np.arange(560 * 12) % 251).astype(np.uint8).reshape(560, 12)}, do_compression=True)
    return file.getvalue()


def _frey(name: str) -> Callable[[bytes, Path], None]:
    def use(data: bytes, folder: Path) -> None:
        (folder / name).write_bytes(data)
        _prepare("freyfaces", folder, size=28)

    return use


def _bearing_npz() -> bytes:
    file, rng = io.BytesIO(), np.random.default_rng(0)
    np.savez(file, normal=rng.normal(size=3000).astype(np.float32), ball=rng.normal(size=3000).astype(np.float32))
    return file.getvalue()


def _bearing(data: bytes, folder: Path) -> None:
    (folder / "a.npz").write_bytes(data)
    _prepare("bearing", folder, size=128)


def _table() -> bytes:
    return b"file_name,Smiling,Hair\n" + b"".join(
        b"%d.png,%d,%s\n" % (i, i % 2, (b"red", b"fair")[i % 2]) for i in range(6)
    )


def _folder_table(data: bytes, folder: Path) -> None:
    for i in range(6):
        (folder / f"{i}.png").write_bytes(_picture("PNG")())
    (folder / "attributes.csv").write_bytes(data)
    _prepare("folder", folder)


def _folder_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(6):
            archive.writestr(f"{i}.png", _picture("PNG")())
        archive.writestr("attributes.csv", _table())
    return file.getvalue()


def _zip_root(data: bytes, folder: Path) -> None:
    (folder / "a.zip").write_bytes(data)
    _prepare("folder", folder / "a.zip")


def _signal(end: str) -> Callable[[bytes, Path], None]:
    def use(data: bytes, folder: Path) -> None:
        from mien.data.reading import read_shape

        (folder / f"a{end}").write_bytes(data)
        x = read_shape([folder / f"a{end}"], (1, 1, 64))
        assert x.shape == (1, 1, 1, 64)
        assert x.isfinite().all()

    return use


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.sin(np.arange(200.0)))
    return file.getvalue()


def _csv() -> bytes:
    return b"".join(b"%.4f\n" % value for value in np.sin(np.arange(200.0)))


DATA = {
    "idx-images": Kind("idx-images", lambda: _idx(3), _mnist("train-images-idx3-ubyte")),
    "idx-labels": Kind("idx-labels", lambda: _idx(1), _mnist("train-labels-idx1-ubyte")),
    "idx-gzip": Kind("idx-gzip", lambda: gzip.compress(_idx(3), mtime=0), _mnist("train-images-idx3-ubyte.gz")),
    "celeba-table": Kind("celeba-table", _celeba_table, _celeba("list_attr_celeba.txt"), True),
    "celeba-csv": Kind("celeba-csv", _celeba_csv, _celeba("list_attr_celeba.csv"), True),
    "celeba-identity": Kind("celeba-identity", _celeba_numbers, _celeba("identity_CelebA.txt"), True),
    "celeba-partition": Kind("celeba-partition", _celeba_numbers, _celeba("list_eval_partition.txt"), True),
    "celeba-zip": Kind("celeba-zip", _celeba_zip, _celeba("img_align_celeba.zip")),
    "omniglot-zip": Kind("omniglot-zip", _omniglot_zip, _omniglot),
    "cifar-binary": Kind("cifar-binary", _cifar_binary, _cifar("data_batch_1.bin")),
    "cifar-pickle": Kind("cifar-pickle", _cifar_pickle, _cifar("data_batch_1")),
    "npz": Kind("npz", _frey_npz, _frey("freyfaces.npz")),
    "mat": Kind("mat", _frey_mat, _frey("frey_rawface.mat")),
    "bearing-npz": Kind("bearing-npz", _bearing_npz, _bearing),
    "table": Kind("table", _table, _folder_table, True),
    "folder-zip": Kind("folder-zip", _folder_zip, _zip_root),
    "signal-npy": Kind("signal-npy", _npy, _signal(".npy")),
    "signal-csv": Kind("signal-csv", _csv, _signal(".csv"), True),
}


# -- runs and prepared sets: one of each is made once, and one of its files is damaged --


class Run:
    """A small finished run with all its files, made once for a process."""

    folder: Path | None = None

    @classmethod
    def get(cls) -> Path:
        if cls.folder is None:
            from mien.experiment import train
            from mien.run.data import Data
            from mien.run.opening import open_run

            cls.folder = Path(tempfile.mkdtemp(prefix="mien-fuzz-")) / "run"
            data = Data("avatars", size=16, options={"count": 60})
            settings = {"width": 4, "latent": 4}
            train("vae", data, cls.folder, settings, steps=4, batch=8, log_every=1, picture_every=100, device="cpu")
            open_run(cls.folder).vectors()
        return cls.folder


def _run_file(name: str) -> Kind:
    def use(content: bytes, folder: Path) -> None:
        from mien import applications
        from mien.run.folder import progress
        from mien.run.opening import cached_vectors, open_run
        from mien.training import logs

        run = folder / "run"
        shutil.copytree(Run.get(), run, ignore=shutil.ignore_patterns("tensorboard", "pictures"))
        (run / name).write_bytes(content)
        progress(run)
        logs.read(run)
        opened = open_run(run)
        x = opened.dataset.batch(np.arange(2)).x
        assert applications.reconstruct(opened.model, x).isfinite().all()
        cached_vectors(run)
        opened.vectors()

    end = Path(name).suffix
    return Kind(f"run-{name}", lambda: (Run.get() / name).read_bytes(), use, end in (".json", ".jsonl"))


def _resume_file(name: str) -> Kind:
    def use(content: bytes, folder: Path) -> None:
        from mien.experiment import train
        from mien.run.data import Data

        run = folder / "run"
        shutil.copytree(Run.get(), run, ignore=shutil.ignore_patterns("tensorboard", "pictures"))
        (run / name).write_bytes(content)
        data = Data("avatars", size=16, options={"count": 60})
        settings = {"width": 4, "latent": 4}
        _, outcome = train("vae", data, run, settings, steps=4, batch=8, log_every=1, picture_every=100, device="cpu")
        assert outcome.step == 4

    end = Path(name).suffix
    return Kind(f"resume-{name}", lambda: (Run.get() / name).read_bytes(), use, end in (".json", ".jsonl"))


def _prepared_file(name: str) -> Kind:
    def use(content: bytes, folder: Path) -> None:
        from mien.data.dataset import Dataset

        source = _prepared()
        shutil.copytree(source, folder / "set")
        (folder / "set" / name).write_bytes(content)
        dataset = Dataset(folder / "set")
        batch = dataset.batch(np.arange(len(dataset)))
        assert batch.x.shape[1:] == dataset.shape
        dataset.split(0)
        list(dataset.keys)
        assert isinstance(dataset.report, dict)

    end = Path(name).suffix
    return Kind(f"prepared-{name}", lambda: (_prepared() / name).read_bytes(), use, end == ".json")


def _prepared() -> Path:
    from mien import data

    return data.load("avatars", size=8, count=20).folder


RUN_FILES = ("config.json", "progress.json", "log.jsonl", "weights.safetensors", "attribute_vectors.json",
             "attribute_vectors.safetensors")  # fmt: skip
RESUME_FILES = ("state.pt", "progress.json", "log.jsonl", "config.json", "weights.safetensors")
PREPARED = ("index.json", "images.npy", "attributes.npy", "labels.npy", "partition.npy", "keys.json", "report.json")

KINDS: dict[str, Kind] = {
    **{name: Kind(name, valid, _open_picture) for name, valid in PICTURES.items()},
    **DATA,
    **{kind.name: kind for kind in map(_run_file, RUN_FILES)},
    **{kind.name: kind for kind in map(_resume_file, RESUME_FILES)},
    **{kind.name: kind for kind in map(_prepared_file, PREPARED)},
}


# -- the campaign --


@dataclass
class Failure:
    """An input that was handled wrongly."""

    kind: str
    seed: int
    number: int
    what: str
    text: str


class TooLong(Exception):
    """An input took more than a minute."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TooLong in the main thread after some seconds."""

    def ring(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _forget_peak() -> None:
    """Let the peak of memory begin anew; Linux only."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    """Return the peak of memory since :func:`_forget_peak`, in MB; elsewhere than on Linux, since the start."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def attempt(kind: Kind, data: bytes, seed: int = 0, number: int = 0) -> tuple[str, Failure | None]:
    """Return what became of an input, accepted or refused, or the failure."""
    folder = Path(tempfile.mkdtemp(prefix="mien-fuzz-"))
    _forget_peak()
    before = _peak()
    try:
        with warnings.catch_warnings(record=True) as caught, time_limit(SECONDS):
            warnings.simplefilter("always")
            warnings.filterwarnings(**PILLOW_WARNINGS)
            (folder / "x").mkdir()
            try:
                kind.use(data, folder / "x")
                outcome = "accepted"
            except MienError as error:
                outcome = "refused"
                if len(str(error).splitlines()) != 1 or len(str(error)) > 1000:
                    return outcome, Failure(kind.name, seed, number, "message of several lines", str(error)[:500])
        raw = [w for w in caught if not isinstance(w.message, _expected())]
        if raw:
            return outcome, Failure(kind.name, seed, number, "warning", str(raw[0].message)[:300])
        if _peak() - before > MEMORY:
            return outcome, Failure(kind.name, seed, number, "memory", f"{_peak() - before:.0f} MB")
        return outcome, None
    except TooLong:
        return "failed", Failure(kind.name, seed, number, "time", f"more than {SECONDS} s")
    except Exception as error:
        text = "".join(traceback.format_exception(error)[-3:])
        return "failed", Failure(kind.name, seed, number, type(error).__name__, text[-800:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _expected() -> tuple[type[Warning], ...]:
    from mien import errors

    return tuple(value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Warning))


def inputs(kind: Kind, count: int, seed: int) -> Iterator[bytes]:
    """Yield the valid file first, then damaged copies of it."""
    valid = kind.valid()
    yield valid
    for number in range(1, count):
        rng = np.random.default_rng([seed, number, struct.unpack("<I", kind.name.encode()[-4:].rjust(4))[0]])
        yield damaged(valid, rng, kind.text)


def campaign(
    kinds: list[Kind], count: int, seed: int, keep: Path | None = None, show: Callable[[str], None] = print
) -> tuple[dict[str, Counter[str]], list[Failure]]:
    """Try ``count`` inputs of each kind; return the outcomes by kind, and the failures."""
    outcomes: dict[str, Counter[str]] = {}
    failures: list[Failure] = []
    for kind in kinds:
        start, counts = time.monotonic(), Counter[str]()
        for number, data in enumerate(inputs(kind, count, seed)):
            outcome, failure = attempt(kind, data, seed, number)
            if number == 0 and outcome != "accepted":
                failure = failure or Failure(kind.name, seed, 0, "the valid file was refused", "")
            counts["failed" if failure else outcome] += 1
            if failure:
                failures.append(failure)
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{kind.name}-{seed}-{number}").write_bytes(data)
        outcomes[kind.name] = counts
        rate = count / max(time.monotonic() - start, 1e-9)
        show(f"{kind.name:32} {dict(counts)}  {rate:,.0f} inputs/s")
    return outcomes, failures


def main(argv: list[str] | None = None) -> int:
    """Run the campaign; return 1 if there was a failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="kinds of files  [all]")
    parser.add_argument("--count", type=int, default=100_000 // len(KINDS) + 1, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the inputs that failed")
    parser.add_argument("--store", action="store_true", help="write results/torture/fuzz.json")
    options = parser.parse_args(argv)
    if unknown := set(options.kinds) - KINDS.keys():
        parser.error(f"expected kinds among {', '.join(KINDS)}, got {', '.join(sorted(unknown))}")
    chosen = [KINDS[name] for name in options.kinds or KINDS]
    record = torture_record.Record("fuzz")
    outcomes, failures = campaign(chosen, options.count, options.seed, options.keep)
    total = sum((counts for counts in outcomes.values()), Counter[str]())
    print(f"\n{sum(total.values()):,} inputs of {len(outcomes)} kinds: {dict(total)}")
    for what, group in Counter((f.kind, f.what) for f in failures).most_common(40):
        example = next(f for f in failures if (f.kind, f.what) == what)
        print(f"{group:6} {what[0]}: {what[1]}  (number {example.number})\n       {example.text[-300:]!r}")
    if options.store:
        record.store(
            {
                "seed": options.seed,
                "count": options.count,
                "inputs": dict(total),
                "kinds": {name: dict(counts) for name, counts in outcomes.items()},
                "failures": dict(Counter(f"{f.kind}: {f.what}" for f in failures)),
            }
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
