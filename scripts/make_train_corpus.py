#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed corpora of the fuzz targets of src/train: make_train_corpus.py [fuzz/corpus]

  recipe/ok_*        must load            recipe/bad_*       must be refused      recipe/set_*    is a good setting
  checkpoint/ok_*    must open            checkpoint/bad_*   must be refused
An implementation of docs/format/checkpoint.md that shares nothing with the C one.
"""
import pathlib
import struct
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "fuzz/corpus")
MASK = (1 << 64) - 1


def mix(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64)


def piece_hash(state, data):
    h, whole = state ^ 0xA0761D6478BD642F, len(data) // 8 * 8
    for (word,) in struct.iter_unpack("<Q", data[:whole]):
        h = mix(h ^ word, 0xE7037ED1A0B428DB)
    h = mix(h ^ int.from_bytes(data[whole:], "little"), 0xE7037ED1A0B428DB)
    return mix(h ^ len(data), 0xA0761D6478BD642F)


def checksum(data):
    state = 0
    for begin in range(0, max(len(data), 1), 1 << 20):
        state = piece_hash(state, data[begin:begin + (1 << 20)])
    return state


def pad(data, unit):
    return data + bytes(-len(data) % unit)


def checkpoint(entries, version=1, shift=0, count=None):
    """entries: (name, type, bytes); shift moves the offsets that the index gives."""
    file, index = pad(b"\x89VQ\r\n\x1a\n\n" + struct.pack("<I", version), 64), b""
    for name, kind, data in entries:
        name = name.encode()
        index += pad(struct.pack("<QQQII", len(file) + shift, len(data), checksum(data), kind, len(name)) + name, 8)
        file = pad(file + data, 64)
    footer = struct.pack("<QQQQQQ", len(file), len(index), len(entries) if count is None else count,
                         len(file) + len(index) + 64, checksum(index), 0)
    return file + index + footer + struct.pack("<Q", checksum(footer)) + b"VECQ-END"


STEP = ("step", 4, struct.pack("<Q", 7))
CHECKPOINTS = {
    "ok_empty": checkpoint([]),
    "ok_step": checkpoint([STEP]),
    "ok_types": checkpoint([("recipe", 1, b"seed: 1\n"), ("w", 2, struct.pack("<3f", 1, -2, 0.5)),
                            ("m", 3, struct.pack("<d", 0.25)), ("b", 5, b"\1\2\3"), ("none", 2, b""), STEP]),
    "ok_long_name": checkpoint([("n" * 500, 5, b"x")]),
    "bad_version": checkpoint([STEP], version=2),
    "bad_offset": checkpoint([STEP], shift=64),
    "bad_before": checkpoint([STEP], shift=-64),
    "bad_count": checkpoint([STEP], count=2),
    "bad_count_huge": checkpoint([STEP], count=1 << 60),
    "bad_fewer": checkpoint([STEP, ("x", 5, b"x")], count=1),
    "bad_duplicate": checkpoint([STEP, STEP]),
    "bad_type": checkpoint([("x", 9, b"x")]),
    "bad_no_name": checkpoint([("", 5, b"x")]),
    "bad_nul_in_name": checkpoint([("a\0b", 5, b"x")]),
    "bad_nul_in_text": checkpoint([("a", 1, b"x\0y")]),
    "bad_part_of_element": checkpoint([("a", 2, b"12345")]),
    "bad_cut": checkpoint([STEP])[:-8],
    "bad_footer_only": checkpoint([])[64:],
    "bad_magic": b"PK\3\4" + checkpoint([STEP])[4:],
}

RECIPES = {
    "ok_nothing": "",
    "ok_comment": "# nothing\n---\n",
    "ok_paper": "seed: 3\nmodel: {network: lenet5}\ndata:\n  train: idx:/data/mnist\n  mean: [0.1307]\n  std: 0.3081\n"
                "quantize: {bits: 2, granularity: tensor, lambda: table, biases: true}\n"
                "train: {epochs: 55, batch: 200}\nschedule: {name: step, milestones: [35, 50]}\n",
    "ok_fine_tuning": "model: {file: m.onnx, output: \"logits\"}\ndata: {train: 'cifar10:d', holdout: 5k, scale: 1/255}\n"
                      "quantize:\n  bits: 1\n  granularity: group:64\n  include: ['*conv*', \"\\u00e4\\n\"]\n"
                      "  layers: ['*fc*=bits:8,lambda:search,method:vecq', 'a=b=keep']\n  gradual: [8@0, 4@1.5, 1@3]\n"
                      "train: {eval_every: 500 steps, log_every: never, bn_freeze: never}\ndistill: {teacher: self}\n",
    "ok_all_empty": "model:\ndata:\naugment:\nquantize: {}\n",
    "set_list": "data.classes=[a, 'b,c', \"d\"]",
    "set_rule": "quantize.layers=*fc*=bits:8,keep",
    "bad_key": "optimizer:\n  lrr: 1\n",
    "bad_section": "optimiser: {lr: 1}\n",
    "bad_value": "train: {batch: 0}\n",
    "bad_twice": "seed: 1\nseed: 2\n",
    "bad_alias": "seed: &a 1\nthreads: *a\n",
    "bad_tag": "seed: !!int 1\n",
    "bad_merge": "train:\n  <<: {batch: 1}\n",
    "bad_documents": "seed: 1\n---\nseed: 2\n",
    "bad_deep": "data: {mean: [[[[[[[[1]]]]]]]]}\n",
    "bad_flow": "train: {batch: 1, [\n",
    "bad_nul": "model: {file: \"a\\0b\"}\n",
    "bad_utf8": b"model: {file: \xff}\n",
    "bad_utf16": "seed: x\n".encode("utf-16"),
    "bad_rule": "quantize: {layers: ['a=bits:99']}\n",
    "bad_stage": "quantize: {gradual: [4@2, 2@1]}\n",
    "bad_key_list": "? [a]\n: 1\n",
}


def main():
    for folder, files in (("checkpoint", CHECKPOINTS), ("recipe", RECIPES)):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            data = data.encode() if isinstance(data, str) else data
            assert len(data) < 4096, name
            (ROOT / folder / name).write_bytes(data)


main()
