"""Errors, labels, the MessagePack profile and every structure that travels (profile: Wire, Limits and errors)."""

import ipaddress
import re
import struct

import msgpack

CODES = {
    "version": 1, "malformed": 2, "limit": 3, "timeout": 4, "internal": 5, "unsupported": 6, "duplicate": 7,
    "id_sig": 10, "id_stale": 11, "id_fork": 12, "noise_key_mismatch": 13, "rejected": 14, "revoked": 15,
    "auth": 20, "forbidden": 21, "quota": 22, "rate": 23, "no_mailbox": 24, "too_large": 25, "expired": 26,
    "pow_required": 27, "conflict": 28,
    "reg_sig": 30, "reg_seq": 31, "endpoint_unreachable": 32, "not_found": 33,
    "no_session": 40, "decrypt": 41, "skip_limit": 42, "prekey_unknown": 43, "replay": 44,
}
NAMES = {code: name for name, code in CODES.items()}

MAX_PLAINTEXT = 65519
MAX_DEPTH = 16
MAX_DATE = 253402300799999


class Refused(Exception):
    """What the other side did is against the profile; `name` is the ERROR name in lower case."""

    def __init__(self, name, why=""):
        super().__init__(f"{name}: {why}" if why else name)
        self.name = name
        self.code = CODES[name]
        self.why = why


def label(text):
    return b"SREMP/1 " + text.encode("ascii") + b"\0"


# --- MessagePack, reading ---------------------------------------------------------------------------------------------

_INTS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_STRS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_BINS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_ARRAYS = {0xDC: ">H", 0xDD: ">I"}
_MAPS = {0xDE: ">H", 0xDF: ">I"}


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Refused("malformed", "missing bytes")
        part = self.data[self.at : self.at + count]
        self.at += count
        return part

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth):
        first = self.take(1)[0]
        if first <= 0x7F:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first == 0xC0:
            return None
        if first in (0xC2, 0xC3):
            return first == 0xC3
        if first in _INTS:
            return self.number(_INTS[first])
        if first <= 0x8F:
            return self.map(first & 0x0F, depth)
        if first <= 0x9F:
            return self.array(first & 0x0F, depth)
        if first <= 0xBF:
            return self.text(first & 0x1F)
        if first in _STRS:
            return self.text(self.number(_STRS[first]))
        if first in _BINS:
            return self.take(self.number(_BINS[first]))
        if first in _ARRAYS:
            return self.array(self.number(_ARRAYS[first]), depth)
        if first in _MAPS:
            return self.map(self.number(_MAPS[first]), depth)
        raise Refused("malformed", f"type byte {first:02x}")

    def text(self, length):
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("malformed", "not UTF-8") from None

    def enter(self, depth, smallest):
        if depth >= MAX_DEPTH:
            raise Refused("malformed", "nested too deep")
        if smallest > len(self.data) - self.at:
            raise Refused("malformed", "claims more than there is")

    def array(self, count, depth):
        self.enter(depth, count)
        return [self.value(depth + 1) for _ in range(count)]

    def map(self, count, depth):
        self.enter(depth, 2 * count)
        found = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise Refused("malformed", "a key is not str")
            if key in found:
                raise Refused("malformed", f"key {key!r} twice")
            found[key] = self.value(depth + 1)
        return found


def unpack(data):
    """One value and nothing after it."""
    reader = _Reader(bytes(data))
    value = reader.value(0)
    if reader.at != len(reader.data):
        raise Refused("malformed", "trailing bytes")
    return value


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


# --- Structures -------------------------------------------------------------------------------------------------------

_STRUCTS = {
    "Identity": "verified:bin signature:bin64",
    "IdentityVerifiedData": "username:str identity_key:bin32 noise_key:bin32 flags:Flags extensions:Extensions? version:u64 created:date",
    "Flags": "uses_relay:bool is_machine_account:bool is_relay_server:bool prefers_async:bool discoverable:bool?",
    "Extensions": "profile_picture:bin? additional_metadata:{bin}?",
    "RelayRef": "endpoint:DNSEndpoint relay_identity:bin32 noise_key:bin32?",
    "DNSEndpoint": "host:host port:port",
    "SocketAddr": "host:host port:port name:str? spki:bin32?",
    "CHUNK_HEADER": "message_id:u64 chunk_index:u16 total_chunks:u16 chunk_size:u16",
    "RelayCapabilities": "max_message_size:u32 max_storage_duration:u32",
    "RelayPolicy": "max_message_size:u32 max_storage_duration:u32 quota_bytes:u64 quota_messages:u32 sender_bytes:u64 "
    "sender_messages:u32 rate_store:u32 rate_retrieve:u32 access:str",
    "StoredMessage": "message_id:u64 sender:bin32 timestamp:date encrypted_blob:bin seq:u64?",
    "PeerInfo": "identity:Identity endpoint:DNSEndpoint last_seen:date online:bool registration:Registration?",
    "Registration": "ttl_seconds:u32 seq:u64 issued:date server:bin32 signature:bin64",
    "SignedBundle": "bundle:bin signature:bin64",
    "SignedOneTime": "item:bin signature:bin64",
    "PrekeyBundleData": "identity_key:bin32 dr_key:bin32 spk_id:u32 spk:bin32 lr_kem_id:u32 lr_kem:bin1184 issued:date not_after:date",
    "OneTimeData": "identity_key:bin32 id:u32 opk:bin32 kem:bin1184",
    "InitialMessage": "identity:Identity e:bin32 epoch:u64 bundle_hash:bin32 one_time_id:u32? kem_ct:bin1088 message:bin",
}

_MESSAGES = {
    "IDENTITY": _STRUCTS["Identity"],
    "ERROR": "code:u16 fatal:bool retry_after_s:u32? detail:str? message_id:u64? request:str?",
    "PING": "nonce:u64",
    "PONG": "nonce:u64",
    "DIRECT_MESSAGE": "message_id:u64 encrypted_blob:bin",
    "CHUNKED_MESSAGE": "header:CHUNK_HEADER payload:bin",
    "RELAY_REGISTER": "identity:bin32 auth_signature:bin64 capabilities:RelayCapabilities mailbox:bool? push:bool?",
    "RELAY_REGISTERED": "policy:RelayPolicy pending:u32 one_time_left:u32 relay_time:date",
    "STORE_MESSAGE": "recipient:bin32 encrypted_blob:bin sender_signature:bin64 message_id:u64",
    "STORE_RESPONSE": "success:bool stored_at:date message_id:u64 recipient:bin32? error_code:u16? retry_after_s:u32?",
    "RETRIEVE_MESSAGES": "identity:bin32 auth_signature:bin64 since:date? after:u64? limit:u16?",
    "MESSAGE_BATCH": "messages:[StoredMessage] has_more:bool next:u64? confirmations:[DELIVERY_CONFIRMATION]?",
    "DELIVERY_CONFIRMATION": "message_id:u64 delivered_to:bin32 timestamp:date signature:bin64 sender:bin32? seq:u64?",
    "DISCARD_MESSAGE": "sender:bin32 message_id:u64",
    "PUBLISH_PREKEYS": "bundle:SignedBundle one_time:[SignedOneTime]",
    "PREKEYS_PUBLISHED": "one_time_left:u32",
    "FETCH_PREKEYS": "target:bin32",
    "PREKEYS": "target:bin32 identity:Identity? bundle:SignedBundle one_time:SignedOneTime?",
    "REGISTER_REQUEST": "identity:Identity endpoint:DNSEndpoint ttl_seconds:u32 signature:bin64 seq:u64 issued:date",
    "REGISTER_RESPONSE": "success:bool expires_at:date renewal_interval:u32 error_message:str? error_code:u16?",
    "LOOKUP_REQUEST": "target_identity:bin32? list_all:bool after:bin32? limit:u16?",
    "LOOKUP_RESPONSE": "peers:[PeerInfo] error_message:str? error_code:u16? next:bin32?",
    "LIST_SERVERS_REQUEST": "",
    "LIST_SERVERS_RESPONSE": "servers:[SocketAddr] timestamp:date",
}

_CONTENTS = {
    "TEXT": "id:u64 sent:date text:str reply_to:u64? letter:bin16?",
    "IDENTITY": _STRUCTS["Identity"],
    "RECEIPT": "kind:str message_ids:[u64]",
    "NULL": "",
    "END": "",
}


def _fields(text):
    parts = [field.split(":", 1) for field in text.split()]
    return [(name, kind.rstrip("?"), kind.endswith("?")) for name, kind in parts]


STRUCTS = {name: _fields(text) for name, text in _STRUCTS.items()}
MESSAGES = {name: _fields(text) for name, text in _MESSAGES.items()}
CONTENTS = {name: _fields(text) for name, text in _CONTENTS.items()}
STRUCTS["DELIVERY_CONFIRMATION"] = MESSAGES["DELIVERY_CONFIRMATION"]

_UINTS = {"u8": 1 << 8, "u16": 1 << 16, "u32": 1 << 32, "u64": 1 << 64, "date": MAX_DATE + 1}


def check(kind, value):
    """`value` as the type `kind` of the profile, without unknown keys; Refused("malformed") if it is not one."""
    if kind in _UINTS:
        good = type(value) is int and 0 <= value < _UINTS[kind]
    elif kind == "port":
        good = type(value) is int and 0 < value < 65536
    elif kind == "bool":
        good = type(value) is bool
    elif kind == "str":
        good = type(value) is str
    elif kind == "host":
        good = type(value) is str and valid_host(value)
    elif kind.startswith("bin"):
        good = type(value) is bytes and (kind == "bin" or len(value) == int(kind[3:]))
    elif kind.startswith("["):
        if type(value) is not list:
            raise Refused("malformed", "not an array")
        return [check(kind[1:-1], item) for item in value]
    elif kind.startswith("{"):
        if type(value) is not dict:
            raise Refused("malformed", "not a map")
        return {key: check(kind[1:-1], item) for key, item in value.items()}
    else:
        return check_fields(STRUCTS[kind], value, kind)
    if not good:
        raise Refused("malformed", f"not a {kind}")
    return value


def check_fields(fields, value, name):
    if type(value) is not dict:
        raise Refused("malformed", f"{name} is not a map")
    checked = {}
    for key, kind, optional in fields:
        if value.get(key) is None:
            if optional:
                continue
            raise Refused("malformed", f"{name}.{key} is missing")
        try:
            checked[key] = check(kind, value[key])
        except Refused as error:
            raise Refused(error.name, f"{name}.{key}: {error.why}") from None
    return checked


def read_struct(kind, data):
    return check(kind, unpack(data))


def write_struct(kind, value):
    return pack(_ordered(STRUCTS[kind], value))


def write_list(kind, values):
    """A list of structures, to be packed."""
    return [_ordered(STRUCTS[kind], value) for value in values]


def _ordered(fields, value):
    """The fields in the order in which the profile writes them, absent ones left out."""
    unknown = set(value) - {key for key, _, _ in fields}
    assert not unknown, f"no such field: {unknown}"
    written = {}
    for key, kind, optional in fields:
        if value.get(key) is None:
            assert optional, f"{key} must be there"
            continue
        written[key] = _ordered_value(kind, value[key])
    return written


def _ordered_value(kind, value):
    if kind.startswith("["):
        return [_ordered_value(kind[1:-1], item) for item in value]
    if kind in STRUCTS:
        return _ordered(STRUCTS[kind], value)
    return value


def encode(name, body, table=MESSAGES):
    return pack({name: _ordered(table[name], body)})


def decode(data, table=MESSAGES):
    """(name, body) of one message; an unknown name is Refused("unsupported")."""
    value = unpack(data)
    if type(value) is not dict or len(value) != 1:
        raise Refused("malformed", "not a map of one message")
    ((name, body),) = value.items()
    if name not in table:
        refused = Refused("unsupported", name)
        refused.request = name
        raise refused
    return name, check_fields(table[name], body, name)


_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


def valid_host(host):
    """Lower-case LDH name, dotted quad, or RFC 5952 IPv6 (profile: Structures)."""
    if not host.isascii():
        return False
    if ":" in host:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            return False
        if "%" in host or "." in host or host != _rfc5952(address):
            return False
        upper = int(address) >> 32
        return upper not in (0, 0xFFFF) or int(address) == 1
    labels = host.split(".")
    if labels[-1].isdigit():
        try:
            return str(ipaddress.IPv4Address(host)) == host != "0.0.0.0"
        except ValueError:
            return False
    return len(host) <= 253 and all(_LABEL.match(part) for part in labels)


def _rfc5952(address):
    """The canonical text with hexadecimal groups only (the standard library writes mapped addresses dotted)."""
    groups = [f"{(int(address) >> (112 - 16 * i)) & 0xFFFF:x}" for i in range(8)]
    best, run = (0, 0), 0
    for i, group in enumerate(groups):
        run = run + 1 if group == "0" else 0
        if run > best[1]:
            best = (i - run + 1, run)
    start, length = best
    if length < 2:
        return ":".join(groups)
    return ":".join(groups[:start]) + "::" + ":".join(groups[start + length :])
