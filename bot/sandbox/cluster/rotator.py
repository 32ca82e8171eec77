"""Citadel's own renewal of a root that is about to end: same key, new dates.

Source: ``security/pkg/pki/ca/selfsignedcarootcertrotator.go`` at Istio 1.4.10.
"""

import base64
from typing import TYPE_CHECKING

from cryptography.x509.oid import NameOID

from bot.sandbox.cluster.certificates import (
    Authority,
    InvalidAuthorityError,
    organization,
    pem_of,
    root_certificate,
)
from bot.sandbox.cluster.objects import Json, utc_now
from bot.sandbox.cluster.resources import SECRETS
from bot.sandbox.cluster.status import ApiError
from bot.sandbox.cluster.versions import rotator_keeps_subject

if TYPE_CHECKING:
    from bot.sandbox.cluster.citadel import Citadel

_GRACE = 0.2  # of the lifetime


class Rotator:
    """The rotation job of one Citadel."""

    def __init__(self, citadel: "Citadel") -> None:
        self._citadel = citadel

    async def run(self) -> None:
        """Look at the CA secret every interval, after a jitter."""
        interval = self._citadel.options.check_interval
        await self._citadel.pace.sleep(self._citadel.pace.between(0, interval))
        while True:
            await self._citadel.pace.sleep(interval)
            try:
                self.tick()
            except ApiError as error:
                self._citadel.log.append(f"error Failed to rotate the root: {error}")

    def tick(self) -> None:
        """Renew the root if it is near its end, else take over what the secret holds."""
        citadel = self._citadel
        found = citadel.insider.find(SECRETS, citadel.options.namespace, "istio-ca-secret")
        if found is None:
            citadel.log.append("error Fail to load CA secret, skip cert rotation job")
            return
        try:
            current = citadel.read(found)
        except InvalidAuthorityError:
            current = None
        if current is None or _ends_soon(current):
            self._renew(found)
        elif current.bundle != (citadel.authority.bundle if citadel.authority else b""):
            citadel.authority = current
            citadel.publish()

    def _renew(self, found: Json) -> None:
        citadel = self._citadel
        old = citadel.authority
        assert old is not None
        now = utc_now().replace(microsecond=0)
        certificate = root_certificate(
            old.key,
            organization(self._subject(old)),
            not_before=now,
            not_after=now + citadel.options.root_lifetime,
        )
        renewed = Authority(bundle=pem_of(certificate), certificate=certificate, key=old.key)
        data = {**(found.get("data") or {}), "ca-cert.pem": base64.b64encode(renewed.bundle).decode()}
        citadel.insider.update({**found, "data": data})
        citadel.authority = renewed
        citadel.publish()
        citadel.log.append("info Root certificate rotation is completed successfully")

    def _subject(self, old: Authority) -> str:
        if not rotator_keeps_subject(self._citadel.options.version):
            return self._citadel.options.trust_domain
        names = old.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(names[0].value) if names else self._citadel.options.trust_domain


def _ends_soon(authority: Authority) -> bool:
    certificate = authority.certificate
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - utc_now() < lifetime * _GRACE
