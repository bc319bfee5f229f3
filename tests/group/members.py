"""Members of groups, and certificates that only look like theirs."""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tinysync.group.allowed import AllowedDevices
from tinysync.group.certificates import Authority
from tinysync.group.device import private_pem
from tinysync.group.key import Key
from tinysync.group.membership import Membership

GROUP = Key(bytes(range(32)))
OTHER_GROUP = Key(bytes(32))


def member(folder: Path, key: Key = GROUP, allow=None) -> Membership:
    """A device of a group, with its key in a folder."""
    return Membership(key, folder, None if allow is None else AllowedDevices(allow))


def new_member(key: Key = GROUP, allow=None) -> Membership:
    """A device that nobody has seen before."""
    with tempfile.TemporaryDirectory() as folder:
        return member(Path(folder), key, allow)


def context(
    server: bool = False, trusted: x509.Certificate | None = None, shown=None, version=ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """A TLS context by hand. ``shown`` is a private key and the certificates that go with it."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = made.maximum_version = version
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE if trusted is None else ssl.CERT_REQUIRED
    if trusted is not None:
        made.load_verify_locations(cadata=trusted.public_bytes(Encoding.PEM).decode())
    if shown is not None:
        key, *chain = shown
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "chain.pem"
            pems = [certificate.public_bytes(Encoding.PEM) for certificate in chain]
            file.write_bytes(b"".join([private_pem(key, None), *pems]))
            made.load_cert_chain(file)
    return made


def shown_by(key: Key = GROUP, **changes):
    """A new private key, with a certificate that a group's CA has signed; ``changes`` are to its content."""
    private = Ed25519PrivateKey.generate()
    authority = Authority.of(key)
    return private, certificate(
        private, authority.certificate.subject, authority.key, place=authority.name, **changes
    )


def self_signed(issuer: x509.Name | None = None):
    """A new private key, with a certificate that it has signed itself, whoever is named as the issuer."""
    private = Ed25519PrivateKey.generate()
    place = Authority.of(GROUP).name
    return private, certificate(private, issuer or _name("tinysync device"), private, place=place)


def signed_by_a_device():
    """A new private key, with a certificate that a device of the group has signed, and that of the device."""
    device, issuer = shown_by()
    private = Ed25519PrivateKey.generate()
    made = certificate(private, issuer.subject, device, place=Authority.of(GROUP).name)
    return private, made, issuer


def certificate(
    private: Ed25519PrivateKey,
    issuer: x509.Name,
    issuer_key: Ed25519PrivateKey,
    *,
    place: str,
    until: dt.datetime = dt.datetime(2999, 1, 1, tzinfo=dt.UTC),
    usage=ExtendedKeyUsageOID.CLIENT_AUTH,
) -> x509.Certificate:
    """A certificate much like that of a device."""
    return (
        x509.CertificateBuilder()
        .subject_name(_name("tinysync device"))
        .issuer_name(issuer)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(place)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, None)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
