"""Every message of every .proto, through our codec and an independent one, byte for byte and value for value."""
import json
import os

import pytest

from harness.proto import pbref

SECONDS = 14

MESSAGES = pbref.load()
NAMES = sorted(MESSAGES)
SEEDS = int(os.environ.get("PROTO_SEEDS", "8"))


@pytest.fixture(scope="module")
def tool():
    t = pbref.Tool()
    yield t
    t.close()


def samples(name, unknown=False):
    """The empty message if it may be empty, one with all its fields, and random ones."""
    for i in range(SEEDS):
        yield pbref.Maker("%s/%d" % (name, i), unknown=unknown, full=i == 0).fill(MESSAGES[name]())


def test_both_know_the_same_messages(tool):
    ok, text = tool.ask("l")
    assert ok
    assert sorted(text.decode().split()) == NAMES
    assert len(NAMES) > 400


@pytest.mark.parametrize("part", range(8))
def test_bytes_unchanged(tool, part):
    """Unpacked and packed again, also through a copy and in an arena: the same bytes."""
    for name in NAMES[part::8]:
        for m in samples(name):
            want = m.SerializeToString()
            for op in "pca":
                ok, got = tool.ask(op, name, want)
                assert ok, (name, op, got)
                assert got == want, (name, op, str(m))


@pytest.mark.parametrize("part", range(4))
def test_unknown_fields_survive(tool, part):
    """Fields from a later version of the protocol, on every level, come out again."""
    for name in NAMES[part::4]:
        for m in samples(name, unknown=True):
            want = m.SerializeToString()
            for op in "pca":
                ok, got = tool.ask(op, name, want)
                assert ok, (name, op, got)
                again = MESSAGES[name].FromString(got)
                assert again.SerializeToString() == want, (name, op)
                assert len(got) == len(want)


@pytest.mark.parametrize("op,v0,defaults", [("j", False, False), ("v", True, False), ("d", False, True)])
def test_json_written(tool, op, v0, defaults):
    for name in NAMES:
        for m in samples(name):
            ok, text = tool.ask(op, name, m.SerializeToString())
            assert ok, (name, text)
            assert all(c < 0x80 and c >= 0x20 for c in text), name
            got = json.loads(text)
            want = pbref.to_json(m, v0, defaults)
            assert pbref.same(got, want), (name, got, want)
            # Compact: nothing between the tokens.
            assert len(text) <= len(json.dumps(want, separators=(",", ":"))) + 30 * text.count(b"e"), name


@pytest.mark.parametrize("op,v0", [("J", False), ("V", True)])
def test_json_read(tool, op, v0):
    for name in NAMES:
        for i, m in enumerate(samples(name)):
            doc = json.dumps(pbref.to_json(m, v0), ensure_ascii=i % 2 == 0, indent=i % 3 or None)
            ok, got = tool.ask(op, name, doc.encode())
            assert ok, (name, got, doc)
            assert got == m.SerializeToString(), (name, doc)


def test_required_fields_are_required(tool):
    """Without any one of its required fields neither form of a message is taken."""
    tried = 0
    for name in NAMES:
        required = [f for f in MESSAGES[name].DESCRIPTOR.fields if f.label == f.LABEL_REQUIRED]
        for f in required:
            m = pbref.Maker(name).fill(MESSAGES[name]())
            m.ClearField(f.name)
            ok, got = tool.ask("p", name, m.SerializePartialToString())
            # protobuf-c lets a required field with a default be absent; there is one such field.
            if f.has_default_value:
                assert (name, f.name) == ("mesos.v1.MasterInfo", "port")
            else:
                assert not ok and name.encode() in got, (name, f.name, got)
            ok, got = tool.ask("J", name, json.dumps(pbref.to_json(m)).encode())
            assert not ok and got == f.name.encode() + b": required but missing", (name, f.name, got)
            tried += 1
    assert tried > 300


def wrong_values(field):
    """JSON of a type that the field must refuse."""
    if field.message_type or pbref.is_map(field):
        return [1, "x", True]
    if field.cpp_type == field.CPPTYPE_BOOL:
        return [0, "maybe", {}]
    if field.type == field.TYPE_BYTES:
        return [0, "*", {}]
    if field.cpp_type == field.CPPTYPE_STRING:
        return [0, False, {}]
    if field.cpp_type == field.CPPTYPE_ENUM:
        return [0, False, {}]
    return ["x", True, {}]


def test_wrong_types_are_refused_with_the_path(tool):
    for name in NAMES:
        base = pbref.to_json(pbref.Maker(name, budget=0).fill(MESSAGES[name]()))
        for f in MESSAGES[name].DESCRIPTOR.fields:
            for bad in wrong_values(f):
                ok, got = tool.ask("J", name, json.dumps(dict(base, **{f.name: bad})).encode())
                assert not ok, (name, f.name, bad)
                assert got.startswith(f.name.encode() + b": "), (name, f.name, bad, got)
            ok, got = tool.ask("J", name, json.dumps(dict(base, **{f.name: None})).encode())
            assert ok == (f.label != f.LABEL_REQUIRED), (name, f.name, got)


def test_bytes_cut_or_changed_do_no_harm(tool):
    """Whatever is done to a message's bytes, the answer is an error or a message that packs again."""
    import random
    rng = random.Random(4711)
    refused = 0
    for name in NAMES:
        whole = pbref.Maker(name + "/cut", unknown=True).fill(MESSAGES[name]()).SerializeToString()
        for _ in range(10):
            data = bytearray(whole[:rng.randint(0, len(whole))])
            for _ in range(rng.randint(0, 3)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            ok, got = tool.ask("p", name, bytes(data))
            refused += not ok
            if ok:
                ok, again = tool.ask("p", name, got)
                assert ok and again == got, (name, data.hex())
                assert tool.ask("j", name, got)[0]
    assert refused > 100
