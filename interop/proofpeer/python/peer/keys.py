"""Identity keys: RSA and Ed25519. Forms, signatures, key wrapping."""

import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from nacl import bindings
from nacl.exceptions import CryptoError

from .codec import murmur3, sha256, unb64

_DER = serialization.Encoding.DER
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_PKCS1 = serialization.PublicFormat.PKCS1


class BadKey(ValueError):
    pass


class BadWrap(ValueError):
    pass


def oaep(algorithm):
    return padding.OAEP(mgf=padding.MGF1(algorithm()), algorithm=algorithm(), label=None)


class Public:
    def __init__(self, key, carried=None):
        self.key = key
        self.type = "rsa" if isinstance(key, rsa.RSAPublicKey) else "ed25519"
        self.spki = key.public_bytes(_DER, _SPKI)
        self.carried = carried or self.spki
        self.uid = murmur3(self.carried)
        self.fingerprint = sha256(self.spki).hex()

    @classmethod
    def parse(cls, text):
        try:
            if len(text) > 800:
                raise BadKey("long")
            data = unb64(text)
            if len(data) == 32:
                key = ed25519.Ed25519PublicKey.from_public_bytes(data)
            elif data[:1] == b"\x30":
                key = serialization.load_der_public_key(data)
            else:
                raise BadKey("form")
            if isinstance(key, rsa.RSAPublicKey):
                if data not in (key.public_bytes(_DER, _SPKI), key.public_bytes(_DER, _PKCS1)):
                    raise BadKey("DER")
                numbers = key.public_numbers()
                if not 2048 <= numbers.n.bit_length() <= 4096 or numbers.e != 65537 or numbers.n % 2 == 0:
                    raise BadKey("RSA")
            elif isinstance(key, ed25519.Ed25519PublicKey):
                raw = key.public_bytes_raw()
                if len(data) != 32 and data != key.public_bytes(_DER, _SPKI):
                    raise BadKey("DER")
                if not bindings.crypto_core_ed25519_is_valid_point(raw):
                    raise BadKey("point")
            else:
                raise BadKey("type")
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadKey(str(error)) from None
        return cls(key, data)

    def verify(self, signature, signed):
        try:
            if self.type == "rsa":
                if len(signature) * 8 != (self.key.key_size + 7) // 8 * 8:
                    return False
                self.key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            else:
                self.key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    def x25519(self):
        return bindings.crypto_sign_ed25519_pk_to_curve25519(self.key.public_bytes_raw())

    def wrap(self, k0, secret=None, sha1=False):
        if self.type == "rsa":
            return self.key.encrypt(k0, oaep(hashes.SHA1 if sha1 else hashes.SHA256))
        if secret is None:
            return bindings.crypto_box_seal(k0, self.x25519())
        ephemeral = bindings.crypto_scalarmult_base(secret)
        nonce = hashlib.blake2b(ephemeral + self.x25519(), digest_size=24).digest()
        return ephemeral + bindings.crypto_box(k0, nonce, self.x25519(), secret)


class Private:
    def __init__(self, key, form="spki"):
        self.key = key
        public = key.public_key()
        data = public.public_bytes(_DER, _SPKI)
        if form == "raw" and isinstance(public, ed25519.Ed25519PublicKey):
            data = public.public_bytes_raw()
        elif form == "pkcs1" and isinstance(public, rsa.RSAPublicKey):
            data = public.public_bytes(_DER, _PKCS1)
        self.public = Public(public, data)

    @classmethod
    def generate(cls, kind, form="spki"):
        if kind == "rsa":
            return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048), form)
        return cls(ed25519.Ed25519PrivateKey.generate(), form)

    @classmethod
    def load(cls, data, form="spki"):
        if data.lstrip().startswith(b"-----"):
            return cls(serialization.load_pem_private_key(data, None), form)
        return cls(serialization.load_der_private_key(data, None), form)

    def pkcs8(self):
        return self.key.private_bytes(_DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def sign(self, data):
        if self.public.type == "rsa":
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(data)

    def unwrap(self, wrapped):
        if self.public.type == "rsa":
            if len(wrapped) != (self.key.key_size + 7) // 8:
                raise BadWrap("length")
            for algorithm in (hashes.SHA256, hashes.SHA1):
                try:
                    k0 = self.key.decrypt(wrapped, oaep(algorithm))
                    break
                except ValueError:
                    continue
            else:
                raise BadWrap("OAEP")
        else:
            if len(wrapped) != 80:
                raise BadWrap("length")
            seed, public = self.key.private_bytes_raw(), self.public.key.public_bytes_raw()
            secret = bindings.crypto_sign_ed25519_sk_to_curve25519(seed + public)
            try:
                k0 = bindings.crypto_box_seal_open(wrapped, bindings.crypto_scalarmult_base(secret), secret)
            except (CryptoError, ValueError, TypeError):
                raise BadWrap("seal") from None
        if len(k0) != 32:
            raise BadWrap("plaintext")
        return k0
