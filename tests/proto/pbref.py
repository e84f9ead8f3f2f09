"""An independent codec to compare ours with: Google's protobuf for bytes, and below a JSON mapping of its own.

Messages are dynamic, from descriptors that protoc makes of proto/*.proto, so nothing here shares code with
what is tested. Random messages are reproducible: the seed is the message's name and a number.
"""
import base64
import math
import os
import random
import struct
import subprocess
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor as FD

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))

# What the older spelling calls these fields: every one, by message.
V0_FIELDS = {
    ("mesos.v1." + m, f): f.replace("agent", "slave")
    for f, ms in {
        "agent_id": """InverseOffer Offer Operation OperationStatus Request Task TaskInfo TaskStatus
            master.Call.CreateVolumes master.Call.DeactivateAgent master.Call.DestroyVolumes
            master.Call.DrainAgent master.Call.GrowVolume master.Call.MarkAgentGone master.Call.ReactivateAgent
            master.Call.ReserveResources master.Call.ShrinkVolume master.Call.UnreserveResources
            master.Response.GetExecutors.Executor scheduler.Call.Acknowledge
            scheduler.Call.AcknowledgeOperationStatus scheduler.Call.Kill scheduler.Call.Message
            scheduler.Call.Reconcile.Task scheduler.Call.ReconcileOperations.Operation scheduler.Call.Shutdown
            scheduler.Event.Failure scheduler.Event.Message""",
        "agent_info": "agent.Response.GetAgent executor.Event.Subscribed",
    }.items()
    for m in ms.split()
}
# Messages that the older generation of the protocol does not have: there both spellings agree.
V1_ONLY = {"mesos.v1.master.Event.AgentRemoved", "mesos.v1.master.Response.GetAgents.Agent"}
V0_ENUMS = {"mesos.v1.TaskStatus.Source", "mesos.v1.TaskStatus.Reason"}
RETIRED = {("mesos.v1.Resource", "role"), ("mesos.v1.FrameworkInfo", "role")}


def load():
    """name -> message class, for every message of proto/*.proto."""
    protos = sorted("proto/" + f for f in os.listdir(os.path.join(ROOT, "proto")) if f.endswith(".proto"))
    with tempfile.NamedTemporaryFile(suffix=".ds") as tmp:
        subprocess.run(["protoc", "-I.", "-I/usr/include", "--include_imports", "-o", tmp.name] + protos,
                       cwd=ROOT, check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(tmp.read())
    pool = descriptor_pool.DescriptorPool()
    for f in files.file:
        pool.Add(f)
    factory = message_factory.MessageFactory(pool)
    out = {}

    def walk(desc):
        out[desc.full_name] = factory.GetPrototype(desc)
        for n in desc.nested_types:
            walk(n)

    for f in files.file:
        if f.name.startswith("proto/"):
            for m in f.message_type:
                walk(pool.FindMessageTypeByName(f.package + "." + m.name))
    return out


def is_map(field):
    t = field.message_type
    return bool(t) and t.name.endswith("Entry") and [f.name for f in t.fields] == ["key", "value"]


# ---- random messages ----
TEXTS = ["", "x", "a longer text of plain ASCII, 40 bytes...", 'quote " and \\ and / and \t\n\r\b\f', "\x01\x1f\x7f",
         "gr\u00fc\u00df", "\u20ac\u2028\u2029\ufffd", "\U0001f600 \U0010ffff", "<script>&amp;", "null", "0", "1234567\u00e9"]
DOUBLES = [0.0, -0.0, 1.0, -1.0, 0.1, 0.5, 1 / 3, 1e300, -1e-300, 5e-324, 1.7976931348623157e308, 1e15, 1e16, 123456.789,
           9007199254740993.0, float("inf"), float("-inf"), 1700000000.123456, 0.1 + 0.2]


def scalar(rng, field):
    t = field.cpp_type
    if t == FD.CPPTYPE_STRING:
        if field.type == FD.TYPE_BYTES:
            return rng.randbytes(rng.choice([0, 1, 2, 3, 4, 16, 100]))
        return "".join(rng.choice(TEXTS) for _ in range(rng.randint(0, 3)))
    if t == FD.CPPTYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    if t == FD.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if t in (FD.CPPTYPE_DOUBLE, FD.CPPTYPE_FLOAT):
        k = rng.random()
        if k < 0.4:
            return rng.choice(DOUBLES)
        if k < 0.7:
            return rng.randint(-10**9, 10**9) / rng.choice([1, 10, 1000, 10**6])
        while True:
            v = struct.unpack("<d", rng.randbytes(8))[0]
            if not math.isnan(v):
                return v
    bits, signed = {FD.CPPTYPE_INT32: (31, 1), FD.CPPTYPE_INT64: (63, 1), FD.CPPTYPE_UINT32: (32, 0),
                    FD.CPPTYPE_UINT64: (64, 0)}[t]
    top = 2**bits - 1
    v = rng.choice([0, 1, 127, 128, top, rng.randint(0, top), rng.randint(0, 2**rng.randint(1, bits) - 1)])
    return -v - 1 if signed and rng.random() < 0.3 else v


def unknown_bytes(rng):
    """Fields that no message has: a varint, 64 bits, bytes, 32 bits."""
    def varint(v):
        out = b""
        while v > 127:
            out += bytes([v & 127 | 128])
            v >>= 7
        return out + bytes([v])
    out = b""
    for _ in range(rng.randint(1, 3)):
        tag = rng.randint(5000, 100000) << 3
        wire = rng.choice([0, 1, 2, 5])
        out += varint(tag | wire)
        out += {0: varint(rng.getrandbits(63)), 1: rng.randbytes(8), 2: b"\x03abc", 5: rng.randbytes(4)}[wire]
    return out


class Maker:
    """Fills a message; `budget` fields in all, then only what is required. With `full`, all of the top."""

    def __init__(self, seed, unknown=False, full=False, budget=150):
        self.rng = random.Random(seed)
        self.unknown = unknown
        self.full = full
        self.budget = budget

    def fill(self, msg, depth=0):
        rng = self.rng
        chance = 1.0 if self.full and depth == 0 else rng.choice([0.2, 0.5, 0.9])
        if self.full and depth == 1:
            chance = 0.4
        oneofs = {o.name: rng.choice(o.fields) for o in msg.DESCRIPTOR.oneofs}
        for f in msg.DESCRIPTOR.fields:
            if f.containing_oneof and oneofs[f.containing_oneof.name] is not f:
                continue
            required = f.label == FD.LABEL_REQUIRED
            if not required and (self.budget <= 0 or depth > 8 or rng.random() > chance):
                continue
            self.budget -= 1
            if f.label == FD.LABEL_REPEATED:
                self.repeated(getattr(msg, f.name), f, depth)
            elif f.message_type:
                sub = getattr(msg, f.name)
                sub.SetInParent()
                self.fill(sub, depth + 1)
            else:
                setattr(msg, f.name, scalar(rng, f))
        if self.unknown and (depth == 0 or rng.random() < 0.2):
            msg.MergeFromString(unknown_bytes(rng))
        return msg

    def repeated(self, target, f, depth):
        for i in range(self.rng.choice([1, 1, 2, 3])):
            if f.message_type:
                e = self.fill(target.add(), depth + 1)
                if is_map(f):  # JSON objects have no two keys alike
                    e.key = "%d-%s" % (i, e.key)
            else:
                target.append(scalar(self.rng, f))


# ---- JSON ----
def enum_text(field, number, v0):
    name = field.enum_type.values_by_number[number].name
    return name.replace("_AGENT", "_SLAVE") if v0 and field.enum_type.full_name in V0_ENUMS else name


def value_json(field, v, v0, defaults):
    if field.message_type:
        return to_json(v, v0, defaults)
    if field.cpp_type == FD.CPPTYPE_ENUM:
        return enum_text(field, v, v0)
    if field.type == FD.TYPE_BYTES:
        return base64.b64encode(v).decode()
    if isinstance(v, float) and math.isinf(v):
        return "Infinity" if v > 0 else "-Infinity"
    return v


def key_of(field, v0):
    key = (field.containing_type.full_name, field.name)
    if v0 and field.name in ("agent_id", "agent_info") and key[0] not in V1_ONLY:
        assert key in V0_FIELDS, "which spelling has %s.%s?" % key
    return V0_FIELDS.get(key, field.name) if v0 else field.name


def to_json(msg, v0=False, defaults=False):
    out = {}
    for f in msg.DESCRIPTOR.fields:
        key = key_of(f, v0)
        if f.label == FD.LABEL_REPEATED:
            items = getattr(msg, f.name)
            if len(items) == 0:
                continue
            if is_map(f):
                vf = f.message_type.fields_by_name["value"]
                out[key] = {e.key: value_json(vf, e.value, v0, defaults) for e in items}
            else:
                out[key] = [value_json(f, v, v0, defaults) for v in items]
        elif msg.HasField(f.name) or (defaults and f.has_default_value and
                                      (msg.DESCRIPTOR.full_name, f.name) not in RETIRED):
            out[key] = value_json(f, getattr(msg, f.name), v0, defaults)
    return out


def same(a, b):
    """Equal, and of equal types: 1 is not 1.0, -0.0 is not 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


class Tool:
    """build/tests/proto/pbtool, one for a whole test run."""

    def __init__(self):
        self.p = subprocess.Popen([os.path.join(BUILD, "tests/proto/pbtool")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op, name="", payload=b""):
        n = name.encode()
        self.p.stdin.write(struct.pack("<I", len(n)) + n + op.encode() + struct.pack("<I", len(payload)) + payload)
        self.p.stdin.flush()
        head = self.p.stdout.read(5)
        assert len(head) == 5, "pbtool died on %s %s %s" % (op, name, payload.hex())
        failed, length = struct.unpack("<BI", head)
        return not failed, self.p.stdout.read(length)

    def close(self):
        self.p.stdin.close()
        assert self.p.wait(timeout=10) == 0
