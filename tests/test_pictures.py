"""Files of a folder: every kind of picture opens as RGB, and every other file gives a one-line error."""

import contextlib
import io
import os
import struct
import sys
import warnings
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageCms, features

import icc
from mien.data import pictures
from mien.data.pictures import BadPicture, from_float, open_picture, save_picture, to_float, to_square
from mien.errors import MienError


def encoded(image: Image.Image, kind: str = "png", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG with a size in its header and too few pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def half_transparent(mode: str) -> Image.Image:
    image = Image.new("RGBA", (16, 12), (200, 200, 200, 255))
    image.paste((200, 200, 200, 0), (0, 0, 8, 12))
    return image.convert(mode)


def test_gray_palette_and_cmyk_open_as_rgb():
    gray = Image.new("L", (16, 12), 90)
    for image, kind in [
        (gray, "png"),
        (Image.new("1", (16, 12), 1), "png"),
        (Image.new("RGB", (16, 12), (90, 90, 90)).quantize(4), "gif"),
        (Image.new("CMYK", (16, 12), (0, 0, 0, 165)), "jpeg"),
        (Image.new("YCbCr", (16, 12), (90, 128, 128)), "jpeg"),
    ]:
        opened = open_picture(encoded(image, kind))
        assert opened.mode == "RGB"
        assert opened.size == (16, 12)
        expected = 255 if image.mode == "1" else 90
        assert abs(np.asarray(opened).astype(int) - expected).max() <= 3, image.mode


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "png"), ("LA", "png"), ("RGBA", "webp")])
def test_white_lies_behind_transparency(mode, kind):
    options = {"lossless": True} if kind == "webp" else {}
    levels = np.asarray(open_picture(encoded(half_transparent(mode), kind, **options)))
    assert (levels[:, :8] == 255).all()
    assert (levels[:, 8:] == 200).all()


def test_white_lies_behind_a_transparent_palette_and_color():
    palette = Image.new("P", (16, 12), 1)
    palette.putpalette([10, 20, 30, 200, 200, 200])
    palette.paste(0, (0, 0, 8, 12))
    for image in (palette, palette.convert("RGB")):
        transparent = 0 if image.mode == "P" else (10, 20, 30)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            levels = np.asarray(open_picture(encoded(image, transparency=transparent)))
        assert (levels[:, :8] == 255).all()
        assert (levels[:, 8:] == 200).all()


def test_sixteen_bits_are_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 16 * 16).reshape(16, 16).astype(np.uint16)
    levels = np.asarray(open_picture(encoded(Image.fromarray(ramp))))
    assert abs(levels[..., 0] - ramp / 257).max() <= 0.51
    levels = np.asarray(open_picture(encoded(Image.fromarray(ramp), "tiff")))
    assert abs(levels[..., 0] - ramp / 257).max() <= 0.51


def test_a_turned_photograph_stands_upright():
    image = Image.new("RGB", (24, 16), "white")
    image.paste((255, 0, 0), (0, 0, 24, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    opened = open_picture(encoded(image, "png", exif=exif))
    assert opened.size == (16, 24)
    assert opened.getpixel((14, 12)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_the_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (16, 12), color) for color in ((255, 0, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "webp" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert open_picture(data).getpixel((3, 3)) == (255, 0, 0)


def test_paths_bytes_and_files_are_the_same(tmp_path):
    path = tmp_path / "é , x.png"
    path.write_bytes(data := encoded(Image.effect_noise((20, 20), 50)))
    with path.open("rb") as file:
        same = [np.asarray(open_picture(source)) for source in (path, str(path), data, file)]
    assert all((picture == same[0]).all() for picture in same)


def bad_files() -> dict[str, tuple[bytes, str]]:
    noise = Image.effect_noise((64, 64), 80)
    return {
        "cut.jpg": (encoded(noise, "jpeg")[:900], "truncated"),
        "cut.png": (encoded(noise)[:900], "truncated"),
        "text.jpg": (b"<html>not found</html>" * 20, "not a picture"),
        "empty.png": (b"", "empty file"),
        "dot.png": (encoded(Image.new("RGB", (1, 1))), "expected 8x8 pixels or more, got 1x1"),
        "bomb.png": (png_header(20_000, 20_000), "expected at most 64 megapixels, got 20000x20000"),
        "wide.png": (png_header(12_000, 9_000), "at most 64 megapixels"),
        "zeros.jpg": (b"\0" * 500, "not a picture"),
    }


@pytest.mark.parametrize("name", bad_files())
def test_what_is_no_picture_is_one_line(name, tmp_path):
    data, reason = bad_files()[name]
    (tmp_path / name).write_bytes(data)
    for source in (tmp_path / name, data):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(BadPicture, match=reason) as caught:
                open_picture(source)
        assert "\n" not in str(caught.value)
    assert Image.MAX_IMAGE_PIXELS is not None


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(BadPicture, match="no such file"):
        open_picture(tmp_path / "none.png")
    with pytest.raises(BadPicture, match="folder"):
        open_picture(tmp_path)


def test_broken_bytes_never_raise_anything_else():
    rng = np.random.default_rng(0)
    noise = Image.effect_noise((40, 40), 80).convert("RGB")
    for kind in ("png", "jpeg", "gif", "webp", "bmp", "tiff", "ppm"):
        data = bytearray(encoded(noise, kind))
        for _ in range(15):
            broken = bytearray(data)
            for at in rng.integers(0, min(len(data), 400), 4):
                broken[at] = rng.integers(256)
            with warnings.catch_warnings(), contextlib.suppress(BadPicture):
                warnings.simplefilter("ignore")
                assert open_picture(bytes(broken)).mode == "RGB"


def test_jpeg_may_come_out_smaller_but_not_too_small():
    data = encoded(Image.new("RGB", (800, 600), "red"), "jpeg")
    assert open_picture(data).size == (800, 600)
    small = open_picture(data, at_least=128)
    assert 128 <= small.height < 600


def test_to_square_takes_the_center():
    image = Image.new("RGB", (60, 20), "blue")
    image.paste((255, 0, 0), (20, 0, 40, 20))
    square = to_square(image, 20)
    assert square.shape == (20, 20, 3)
    assert square.dtype == np.uint8
    assert (square == (255, 0, 0)).all()
    for size in (10, 40):
        inner = to_square(image, size)[:, size // 5 : -size // 5].astype(int)
        assert abs(inner - (255, 0, 0)).max() <= 2  # rounding


def test_reducing_does_not_alias():
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[:, ::2] = 255
    small = to_square(Image.fromarray(lines), 16)
    assert abs(small[2:-2, 2:-2].astype(int) - 127).max() < 12


def test_float_and_back_is_exact():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    x = to_float(levels)
    assert x.shape == (1, 3, 16, 16)
    assert x.dtype == np.float32
    assert (from_float(x) == levels).all()
    assert from_float(np.full((3, 2, 2), 7.0)).max() == 255


def test_saving_is_all_or_nothing(tmp_path, monkeypatch):
    picture = np.random.default_rng(0).integers(0, 256, (10, 12, 3), np.uint8)
    path = save_picture(picture, tmp_path / "new" / "a.png")
    assert (np.asarray(open_picture(path)) == picture).all()
    save_picture(picture[..., :1], path)
    assert open_picture(path).getpixel((0, 0))[0] == picture[0, 0, 0]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(MienError, match=r"could not write .*a\.png: No space left"):
        save_picture(picture, path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["a.png"]


def test_saving_names_what_it_expects(tmp_path):
    with pytest.raises(MienError, match=r"expected a uint8 picture \(H, W, 3\), got float64 \(4, 4, 3\)"):
        save_picture(np.zeros((4, 4, 3)), tmp_path / "a.png")
    with pytest.raises(MienError, match=r"expected the suffix of a picture format, got '\.pgn'"):
        save_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / "a.pgn")


def test_limits_are_what_the_messages_say():
    assert pictures.SMALLEST == 8
    assert pictures.LARGEST == 64_000_000


# -- colors --


@pytest.mark.parametrize(("colorants", "gamma"), [(icc.P3, 2.2), (icc.ADOBE, 2.2), (icc.PROPHOTO, 1.8)])
@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "webp"])
def test_a_profile_is_converted_to_srgb(colorants, gamma, kind):
    for color in [(150, 110, 90), (90, 120, 100), (128, 128, 128)]:
        options = {"lossless": True} if kind == "webp" else {"quality": 100} if kind == "jpeg" else {}
        image = Image.new("RGB", (16, 16), color)
        data = encoded(image, kind, icc_profile=icc.rgb_profile(colorants, gamma), **options)
        expected = icc.to_srgb(color, colorants, gamma)
        opened = np.asarray(open_picture(data))[8, 8]
        assert abs(opened - expected).max() <= (4 if kind == "jpeg" else 2.5), (color, opened, expected)
        if color != (128, 128, 128):
            assert abs(np.array(color) - expected).max() > 5, "the profile changes this color"


def test_a_profile_of_srgb_changes_no_value():
    colors = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (np.asarray(open_picture(encoded(Image.fromarray(colors), icc_profile=profile))) == colors).all()


def test_profiles_of_gray_transparency_and_palettes():
    gray = Image.new("L", (16, 12), 100)
    linear = open_picture(encoded(gray, icc_profile=icc.gray_profile(1.0)))  # 100 / 255 of the light is sRGB 168
    assert np.asarray(linear)[0, 0].tolist() == pytest.approx([168] * 3, abs=1.5)
    pale = Image.new("LA", (16, 12), (100, 255))
    assert open_picture(encoded(pale, icc_profile=icc.gray_profile(1.0))).getpixel((0, 0))[0] == pytest.approx(
        168, abs=2
    )
    profile, expected = icc.rgb_profile(icc.P3, 2.2), icc.to_srgb((150, 110, 90), icc.P3, 2.2)
    clear = Image.new("RGBA", (16, 12), (150, 110, 90, 255))
    clear.paste((150, 110, 90, 0), (0, 0, 8, 12))
    levels = np.asarray(open_picture(encoded(clear, icc_profile=profile)))
    assert (levels[:, :8] == 255).all()
    assert abs(levels[:, 8:] - expected).max() <= 2
    palette = Image.new("RGB", (16, 12), (150, 110, 90)).quantize(4)
    assert abs(np.asarray(open_picture(encoded(palette, icc_profile=profile))) - expected).max() <= 2


@pytest.mark.parametrize("kind", ["tiff", "jpeg"])
def test_a_cmyk_profile_says_how_dark_an_ink_is(kind):
    ink = Image.new("CMYK", (16, 12), (0, 0, 0, 128))
    assert open_picture(encoded(ink, kind)).getpixel((8, 8)) == (127, 127, 127)
    for gamma, expected in ((1, 119), (2, 184)):  # the lightness L* is 49.8 and 74.8
        opened = open_picture(encoded(ink, kind, icc_profile=icc.cmyk_profile(gamma)))
        assert np.asarray(opened)[8, 8].tolist() == pytest.approx([expected] * 3, abs=2)


def test_a_damaged_or_unfit_profile_is_ignored():
    image = Image.new("RGB", (16, 12), (150, 110, 90))
    good = icc.rgb_profile(icc.P3, 2.2)
    rng = np.random.default_rng(0)
    for profile in (b"x", good[:100], good[:200], icc.gray_profile(1.0), icc.cmyk_profile(2), b"\0" * 500):
        assert open_picture(encoded(image, icc_profile=profile)).getpixel((3, 3)) == (150, 110, 90)
    for _ in range(40):
        broken = bytearray(good)
        for at in rng.integers(0, len(good), 4):
            broken[at] = rng.integers(256)
        assert open_picture(encoded(image, icc_profile=bytes(broken))).mode == "RGB"


@pytest.mark.parametrize(("largest", "full"), [(200, 255), (1000, 1023), (4095, 4095), (9000, 16383), (40000, 65535)])
def test_more_than_eight_bits_are_scaled_by_what_is_there(largest, full):
    ramp = np.linspace(0, largest, 256).reshape(16, 16)
    for values, kind in ((np.uint16(ramp), "png"), (np.uint16(ramp), "tiff"), (np.int32(ramp), "tiff")):
        levels = np.asarray(open_picture(encoded(Image.fromarray(values), kind)))
        assert abs(levels[..., 0] - values * 255.0 / full).max() <= 0.51


@pytest.mark.parametrize(("largest", "full"), [(1.0, 1), (0.4, 1), (255.0, 255), (4000.0, 4095)])
def test_floating_point_numbers_are_scaled_by_what_is_there(largest, full):
    ramp = np.linspace(0, largest, 256, dtype=np.float32).reshape(16, 16)
    ramp[0, 0] = np.nan
    levels = np.asarray(open_picture(encoded(Image.fromarray(ramp), "tiff")))
    assert abs(levels[..., 0] - np.nan_to_num(ramp) * 255 / full).max() <= 0.51


# -- formats that need more --


def heic_header() -> bytes:
    return struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + b"\0" * 200


def test_heic_names_the_extra_that_reads_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # an import of it fails
    pictures.unreadable.cache_clear()
    with pytest.raises(BadPicture, match=r"HEIC needs the extra heic: pip install 'mien\[heic\]'"):
        open_picture(heic_header())
    pictures.unreadable.cache_clear()


def test_heic_is_read_with_the_extra(monkeypatch):
    """The package is a stand-in that opens each file of this brand as a red picture."""

    def read(file, name):
        return Image.new("RGB", (16, 12), (255, 0, 0))

    def register():
        Image.register_open("HEIF", read, lambda prefix: prefix[4:12] == b"ftypheic")

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    pictures.unreadable.cache_clear()
    try:
        assert open_picture(heic_header()).getpixel((0, 0)) == (255, 0, 0)
    finally:
        pictures.unreadable.cache_clear()
        Image.OPEN.pop("HEIF", None)
        Image.ID.remove("HEIF")


def test_avif_names_the_version_that_reads_it(monkeypatch):
    data = struct.pack(">I", 24) + b"ftypavif\0\0\0\0mif1avif" + b"\0" * 200
    monkeypatch.setattr(features, "check", lambda name: False)
    pictures.unreadable.cache_clear()
    with pytest.raises(BadPicture, match=r"AVIF needs Pillow 11\.3 or newer"):
        open_picture(data)
    pictures.unreadable.cache_clear()


@pytest.mark.parametrize("size", [(40, 133), (9, 30), (37, 90), (100, 190), (400, 800)])
def test_tall_pictures_are_reduced_in_width_first(size):
    """The result does not depend on the version of Pillow: 13 reduces the height of these pictures first."""
    width, height = size
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    narrow = image.resize((16, height), Image.Resampling.LANCZOS)
    expected = np.asarray(narrow.resize((16, 24), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(pictures.resize(image, (24, 16)), expected)
    box = (1.5, 3.25, width - 2.0, 3.25 + 1.5 * (width - 3.5))
    classic = image.resize((16, height), Image.Resampling.LANCZOS, box=(box[0], 0, box[2], height))
    expected = np.asarray(classic.resize((16, 24), Image.Resampling.LANCZOS, box=(0, box[1], 16, box[3])))
    np.testing.assert_array_equal(pictures.resize(image, (24, 16), box), expected)
