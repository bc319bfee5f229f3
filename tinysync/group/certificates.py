"""The certificates of a group, all made from its key: nobody has to be asked for one.

The group's CA follows from the key, so each device issues a certificate to itself, and trusts what the CA has
signed and nothing else. Ed25519 signatures are deterministic: the same keys give the same certificates.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tinysync.group.device import public_fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from tinysync.group.key import Key

# Clocks of small devices begin in 1970, and some are never set; RFC 5280 names the end that means no end.
_BEGIN: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_END: Final = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Authority:
    """The CA of a group."""

    name: str
    """What each certificate of the group names as the place it is for."""
    certificate: x509.Certificate
    key: Ed25519PrivateKey

    @classmethod
    def of(cls, key: Key) -> Authority:
        """Return the CA that follows from a group's key."""
        private = Ed25519PrivateKey.from_private_bytes(key.derive("certificate authority, ed25519", 32))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"tinysync group {key.group}")])
        certificate = (
            _begun(name, name, private.public_key(), 1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
            .sign(private, None)
        )
        return cls(f"{key.group}.tinysync.internal", certificate, private)

    def issue(self, device: Ed25519PublicKey) -> x509.Certificate:
        """Return the certificate of a device, which says nothing about it but its key."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tinysync device")])
        serial = int(public_fingerprint(device).replace("-", ""))
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issuer = self.key.public_key()
        return (
            _begun(name, self.certificate.subject, device, serial)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(self.name)]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(device), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
            .sign(self.key, None)
        )

    def pem(self) -> str:
        """Return the CA's certificate as text."""
        return self.certificate.public_bytes(Encoding.PEM).decode()


def read_certificate(der: bytes) -> tuple[list[str], str]:
    """Return the places that a certificate is for, and the fingerprint of the device that it was issued to."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        places = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        places = []
    return places, public_fingerprint(certificate.public_key())


def _begun(subject: x509.Name, issuer: x509.Name, key: Ed25519PublicKey, serial: int) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer, subject, key, serial or 1, not_valid_before=_BEGIN, not_valid_after=_END
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
