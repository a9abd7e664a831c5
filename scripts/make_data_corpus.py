#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed corpora of the data set parsers: make_data_corpus.py [fuzz/corpus]

  idx         files of idx: and cifar10:, plain and gzip
  text        a byte of choices (see fuzz_text.c), then lines "label<TAB>text"
  image_list  labels.tsv, and lists of names
  image       JPEG and PNG of every kind

Files called bad_* must be refused. Found inputs are called crash_* and stay.
"""
import base64
import gzip
import pathlib
import struct
import sys
import zlib

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "fuzz/corpus")

# A deterministic 8-pixel ramp as an encoder wrote it: grey, grey progressive, colour with subsampling, CMYK.
JPEG = {
    "grey": "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H"
            "////6/+b9//j/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAf/EAB4QAAIBAwUAAAAAAAAAAAAAAAECAwAREjEyUWGB/9oACA"
            "EBAAA/ABbLEcFEMZFs23ed681//9k=",
    "progressive": "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71"
                   "////m8H////6/+b9//j/wgALCAAHAAkBAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAAH/2gAIAQEAAAABj//EABcQAQADAAAAAAAAAA"
                   "AAAAAAAAEAETH/2gAIAQEAAQUCMsn/xAAXEAADAQAAAAAAAAAAAAAAAAAAASEy/9oACAEBAAY/ApEbZ//EABoQAAICAwAAAAAAAAA"
                   "AAAAAAAAxAREhQfD/2gAIAQEAAT8hZXA9nNJ//9oACAEBAAAAEP8A/8QAGhAAAQUBAAAAAAAAAAAAAAAAAQARMUFh8f/aAAgBAQAB"
                   "PxABEDidMaLXRT//2Q==",
    "colour": "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////"
              "m8H////6/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4"
              "+Pj/wAARCAAJABEDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAH/xAAfEAACAQIHAAAAAAAAAAAAAAAAASECYgMRIjFCUVP/"
              "xAAWAQEBAQAAAAAAAAAAAAAAAAABAAL/xAAeEQACAQMFAAAAAAAAAAAAAAAAEQECISJRYaHR8P/aAAwDAQACEQMRAD8AOXOp9IO6bUS"
              "jasuHzCq0oqsXsuS5PzQIAtoZU+fZ/9k=",
    "cmyk": "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAoHB4jHhkoIyEjLSsoMDxkQTw3Nzx7WF1JZJGAmZaPgIyKoLTmw6Cq2q2KjMj/y9ru9f///5vB////"
            "+v/m/f/4/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABcAAAMBAAAAAAAAAAAAAAAAAAEDBAX/xAAeEAABBAEFAAAAAAAAAAAAAAAAAQIDER"
            "IxMlFhgf/aAA4EQwBNAFkASwAAPwAut0qZuWaRFvBu33rTg2BxAf/Z",
}


def write(folder, name, data):
    assert len(data) < 4096, (folder, name, len(data))
    (OUT / folder).mkdir(parents=True, exist_ok=True)
    (OUT / folder / name).write_bytes(data)


def ramp(n):
    return bytes(i * 37 % 256 for i in range(n))


def zipped(data):
    return gzip.compress(data, mtime=0)


def idx():
    images = struct.pack(">IIII", 0x803, 3, 5, 4) + ramp(60)
    labels = struct.pack(">II", 0x801, 7) + bytes(i % 3 for i in range(7))
    write("idx", "images.idx", images)
    write("idx", "labels.idx", labels)
    write("idx", "images.idx.gz", zipped(images))
    write("idx", "labels.idx.gz", zipped(labels))
    write("idx", "labels_two_parts.gz", zipped(labels[:9]) + zipped(labels[9:]))
    write("idx", "bad_truncated.idx", images[:-1])
    write("idx", "bad_truncated.gz", zipped(images)[:-9])
    write("idx", "bad_longer.idx", labels + b"x")
    write("idx", "bad_sum.gz", zipped(labels)[:-8] + bytes(8))
    write("idx", "bad_promise.gz", zipped(struct.pack(">IIII", 0x803, 0xffffffff, 0x4000, 0x4000)))
    write("idx", "bad_bomb.gz", zipped(struct.pack(">II", 0x801, 10) + bytes(1 << 20)))
    write("idx", "bad_magic.idx", struct.pack(">IIII", 0xd03, 1, 1, 1) + bytes(4))
    write("idx", "cifar10.bin", b"\x09" + ramp(3072))
    write("idx", "bad_label.bin", b"\x0a" + ramp(3072))


def text():
    cases = {
        "numbers": "1\tGood film, good.\n0\tbad <unk> film\n\n7\t\n",
        "names": "spam\tbuy now\nham\thello \u00c4\u0416\nspam\tx\n",
        "chinese": "3\t\u4e2d\u534e\u5973\u5b50\u5b66\u9662\uff1a\u672c\u79d1\n1\t\u4e1c5\u73af\u3000\u623f\n",
        "dos": "\ufeff0\ta\r\n1\tb\r\n",
        "special": "0\t<pad> <Pad> [PAD] <start> <oov>\n1\t<unk>,x\n",
        "emoji": "0\t\U0001f600\U0001f601 \U0001f600\n",
        "bad_swapped": "good film\t1\nbad\t0\n",
        "bad_no_tab": "1 good\n",
        "bad_range": "1000000\tx\n",
        "bad_empty": "\n\n",
    }
    for name, lines in cases.items():
        for choice in (0, 2, 5, 16 + 8 + 2, 32 + 2):
            write("text", "%s_%d.txt" % (name, choice), bytes([choice]) + lines.encode())
    write("text", "bad_utf8.txt", b"\x020\ta\xc3(\n")
    write("text", "bad_nul.txt", b"\x020\ta\x00b\n")
    write("text", "long_word.txt", b"\x020\t" + b"w" * 300 + b" x\n")
    write("text", "many_classes.txt", b"\x00" + b"".join(b"c%d\tx\nc%d\ty\n" % (i, i) for i in range(70)))


def image_list():
    cases = {
        "plain": "a.jpg\t0\nsub/b.png\t2\n",
        "names": "a.jpg\t0\tn01\ttench\nb.jpg\t90\tn02\tshark\n",
        "titles": "file\tclass\na.jpg\t1\r\n\n",
        "class_txt": "finance\n\nstocks\n\n",
        "bad_parent": "a/../../b.jpg\t0\n",
        "bad_root": "/etc/passwd\t0\n",
        "bad_number": "a.jpg\tx\n",
        "bad_large": "a.jpg\t999999999999\n",
        "bad_empty": "",
    }
    for name, lines in cases.items():
        write("image_list", name + ".tsv", lines.encode())
    write("image_list", "last_class.tsv", b"a.jpg\t999999\tname\n")
    write("image_list", "bad_utf8.tsv", b"a\xff.jpg\t0\n")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, color, rows, extra=b"", interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows, 9)) +
            chunk(b"IEND", b""))


def lines(height, n):
    """Rows of n bytes with each filter of PNG in turn."""
    return b"".join(bytes([y % 5]) + ramp(n) for y in range(height))


def image():
    palette = chunk(b"PLTE", ramp(12))
    write("image", "grey.png", png(9, 7, 8, 0, lines(7, 9)))
    write("image", "grey1.png", png(9, 7, 1, 0, lines(7, 2)))
    write("image", "grey16.png", png(9, 7, 16, 0, lines(7, 18)))
    write("image", "rgb.png", png(9, 7, 8, 2, lines(7, 27)))
    write("image", "rgb16.png", png(3, 7, 16, 2, lines(7, 18)))
    write("image", "rgba.png", png(9, 7, 8, 6, lines(7, 36)))
    write("image", "grey_alpha.png", png(9, 7, 8, 4, lines(7, 18)))
    write("image", "palette2.png", png(9, 7, 2, 3, lines(7, 3), palette))
    write("image", "palette_trns.png", png(9, 7, 2, 3, lines(7, 3), palette + chunk(b"tRNS", b"\x00\x80")))
    write("image", "interlaced.png", png(1, 1, 8, 2, b"\0abc", interlace=1))
    write("image", "wide.png", png(20000, 1, 8, 0, b"\0" + bytes(20000)))
    write("image", "bad_truncated.png", png(9, 7, 8, 2, lines(7, 27))[:-30])
    write("image", "bad_short.png", png(9, 70, 8, 2, lines(7, 27)))
    write("image", "bad_huge.png", png(0x7fffffff, 0x7fffffff, 8, 2, b""))
    write("image", "bad_ratio.png", png(8000, 8000, 8, 2, b""))
    write("image", "bad_palette.png", png(9, 7, 2, 3, lines(7, 3)))
    for name, data in JPEG.items():
        data = base64.b64decode(data)
        write("image", name + ".jpg", data)
        write("image", "bad_%s_cut.jpg" % name, data[:-12])
    data = base64.b64decode(JPEG["grey"])
    at = data.index(b"\xff\xc0")
    write("image", "bad_huge.jpg", data[:at + 5] + b"\xff\xdc\xff\xdc" + data[at + 9:])
    write("image", "bad_kind.gif", b"GIF89a")


idx()
text()
image_list()
image()
