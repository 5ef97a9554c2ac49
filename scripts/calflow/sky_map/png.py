"""PNG images of 256 levels, without a library: http://www.w3.org/TR/png."""

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE = 0, 3
LEVEL = 3  # of compression: noise gets hardly smaller with more
UP = b"\x02"  # each row is written as what differs from the one above


def grey_png(levels: np.ndarray) -> bytes:
    """Return a grey image as PNG, in which level 0 is transparent.

    Parameters
    ----------
    levels : uint8 array, shape (ny, nx)
        The first row is the upper one.
    """
    return _png(levels, GREY, {b"tRNS": struct.pack(">H", 0)})


def one_colour_png(mask: np.ndarray, colour: tuple[int, int, int]) -> bytes:
    """Return an image of one colour as PNG, transparent elsewhere.

    Parameters
    ----------
    mask : bool array, shape (ny, nx)
        True where the colour is.
    colour : tuple of int
        Red, green and blue, of 255.
    """
    return _png(mask.astype(np.uint8), PALETTE, {b"PLTE": bytes((0, 0, 0, *colour)), b"tRNS": b"\x00"})


def _png(levels: np.ndarray, kind: int, chunks: dict[bytes, bytes]) -> bytes:
    ny, nx = levels.shape
    above = np.vstack([np.zeros((1, nx), np.uint8), levels[:-1]])
    rows = levels - above  # modulo 256
    raw = b"".join(UP + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", nx, ny, 8, kind, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks.items(), (b"IDAT", zlib.compress(raw, LEVEL)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
