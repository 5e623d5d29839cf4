"""Saved files that somebody changed, with a checksum that fits again."""

import copy
import hashlib
import io
import json
import zipfile

CHECKSUM = 64

# What a value is replaced by: other types, the ends of ranges, names that lead elsewhere.
_STRANGE = [
    None, True, False, 0, 1, -1, 2, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, "", "a",
    "\x00", "\ud800", "__class__", "__reduce__", "__setstate__", "fit", "os.system", "nan",
    "VAETransformer", "DenseNetwork", "huber", "builtins.eval",
    "|O",
    "<U999999999", "<M8[as]", "keras.layers", "Lambda", "TFSMLayer", "../../etc/passwd", "UTC",
    [], {}, ["ref", 0], ["ref", -1], ["ref", 10**9], ["ref", True], ["float", "nan"], ["NA"],
    ["numpy", "<f8", "nan"], ["numpy", "<U9", 1], ["dtype", "|O"], ["decimal", "1e999999999"],
    ["timestamp", 2**63, "ns", None], ["period", 0, "D"], ["datetime", "0001-01-01", "x", 0],
    ["interval", 1, None, "both"], ["bytes", "=="], ["list", []], "inf",
    ["object", "Source", {}],
]  # fmt: skip


def unpacked(data):
    """The text and the arrays of a file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    return json.loads(entries[0][1]), entries[1:]


def packed(content, arrays, compression=zipfile.ZIP_STORED):
    """A file of these."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in [("skae.json", text), *arrays]:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compression)
        archive.comment = bytes(CHECKSUM)
    return sealed(stream.getvalue())


def sealed(data):
    """A file with the checksum of its bytes."""
    data = data[:-CHECKSUM]
    return data + hashlib.sha256(data).hexdigest().encode()


def _with_changed_bytes(data, rng, n_changes):
    data = bytearray(data)
    for _ in range(n_changes):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at : at + rng.choice([1, 2, 8, 100])]
        else:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice([1, 4, 16])))
    return bytes(data)


def changed_bytes(data, rng):
    """Any byte of the file, and the checksum as it was: what damage does."""
    return _with_changed_bytes(data, rng, rng.choice([1, 1, 1, 4]))


def cut(data, rng):
    """A part of the file."""
    return data[: rng.randrange(len(data))]


def changed_zip(data, rng):
    """Bytes of the structure of the zip, or any, and the checksum anew."""
    if rng.random() < 0.5:
        return sealed(_with_changed_bytes(data, rng, rng.choice([1, 2, 8])))
    data = bytearray(data)
    marks = [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"]
    mark = rng.choice(marks)
    places = [i for i in range(len(data)) if data[i : i + 4] == mark]
    at = rng.choice(places) + rng.randrange(46)
    for i in range(rng.choice([1, 2, 4])):
        if at + i < len(data) - CHECKSUM:
            data[at + i] = rng.choice([0, 1, 8, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    return sealed(bytes(data))


def changed_entries(data, rng):
    """Entries left out, put twice, swapped, renamed, or compressed."""
    content, arrays = unpacked(data)
    kind = rng.randrange(5)
    if kind == 0 and arrays:
        del arrays[rng.randrange(len(arrays))]
    elif kind == 1:
        extra = rng.choice(["arrays/x.npy", "../x", "/etc/x", "arrays/99.npy", "skae.json "])
        arrays.insert(rng.randrange(len(arrays) + 1), (extra, b"x" * rng.randrange(99)))
    elif kind == 2 and arrays:
        i, j = rng.randrange(len(arrays)), rng.randrange(len(arrays))
        arrays[i], arrays[j] = (arrays[i][0], arrays[j][1]), (arrays[j][0], arrays[i][1])
    elif kind == 3:
        return packed(content, arrays, rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]))
    else:
        arrays = arrays[: rng.randrange(len(arrays) + 1)]
    return packed(content, arrays)


def changed_text(data, rng):
    """Bytes of the JSON text."""
    content, arrays = unpacked(data)
    text = json.dumps(content).encode()
    return packed(_with_changed_bytes(text, rng, rng.choice([1, 1, 3])), arrays)


def changed_values(data, rng):
    """Values in the JSON, at any depth; Keras' configurations are read as JSON, too."""
    content, arrays = unpacked(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        _change(content, rng)
    return packed(content, arrays)


def _change(content, rng):
    places = list(_places(content))
    holder, key = rng.choice(places)
    held = holder[key]
    if isinstance(held, str) and held[:1] == "{":
        inner = json.loads(held)
        _change(inner, rng)
        holder[key] = json.dumps(inner)
        return
    kind = rng.randrange(6)
    if kind == 0:
        other, at = rng.choice(places)
        holder[key] = copy.deepcopy(other[at])
    elif kind == 1:
        del holder[key]
    elif kind == 2 and isinstance(holder, dict):
        holder[str(rng.choice(_STRANGE))] = holder.pop(key)
    elif kind == 3 and isinstance(held, int | float):
        holder[key] = rng.choice([held + 1, -held, held * 2**20, float(held)])
    elif kind == 4 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(rng.choice(_STRANGE)))
    else:
        holder[key] = copy.deepcopy(rng.choice(_STRANGE))


def _places(value):
    """The container and the key of every value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def changed_arrays(data, rng):
    """Headers of arrays, or their bytes."""
    content, arrays = unpacked(data)
    if not arrays:
        return changed_values(data, rng)
    at = rng.randrange(len(arrays))
    name, array = arrays[at]
    kind = rng.randrange(4)
    if kind == 0:
        array = _with_changed_bytes(array, rng, 1)
    elif kind == 1:
        array = _with_changed_bytes(array[:128], rng, rng.choice([1, 2])) + array[128:]
    elif kind == 2:
        array = array[: rng.randrange(len(array))]
    else:
        array = _with_header(array[128:], rng)
    arrays[at] = name, array
    return packed(content, arrays)


def _with_header(values, rng):
    dtypes = [
        "'|O'",
        "'<f8'",
        "'|b1'",
        "'<U1'",
        "'>U1'",
        "'|V8'",
        "'(9,)<f8'",
        "'<f16'",
        "'|S0'",
    ]
    dtypes += ["[('a', '<f8')]", "[('a', '|O')]", "'<M8[ns]'", "__import__('os')", "(" * 300]
    shapes = [
        "()",
        "(1,)",
        "(-1,)",
        "(2**40,)",
        "(1099511627776, 1048576)",
        "(0, 9)",
        "0",
        "(1.5,)",
    ]
    shapes += [f"({len(values)},)", f"({len(values) // 8},)", f"({len(values) // 4},)"]
    order = rng.choice(["True", "False", "3"])
    header = f"{{'descr': {rng.choice(dtypes)}, 'fortran_order': {order}, "
    header += f"'shape': {rng.choice(shapes)}, }}"
    version = rng.choice([b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"])
    length = rng.choice([len(header), len(header), 65535, 0])
    magic = b"\x93NUMPY" + version + length.to_bytes(2, "little")
    return magic + header.encode() + values


#: Ways to change a file: functions of its bytes and of a `random.Random`.
MUTATIONS = {
    mutation.__name__: mutation
    for mutation in (
        changed_bytes,
        cut,
        changed_zip,
        changed_entries,
        changed_text,
        changed_values,
        changed_arrays,
    )
}
