"""TLS: the context of a client's connections, and what is said of a connection that has one."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from qs.engine.wire.failures import Failure, WireError
from qs.engine.wire.settings import Tls


def tls_context(tls: Tls, protocols: Sequence[str]) -> ssl.SSLContext:
    """Made once for all connections. `protocols` are what ALPN offers ("http/1.1", "h2"). Raises
    WireError for a file that cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except (OSError, ssl.SSLError) as fault:
        raise _unreadable("the authority's certificate", tls.ca, fault) from fault
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate is not None:
        try:
            # Without a password's callback OpenSSL would ask at the terminal.
            context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
        except (OSError, ssl.SSLError, ValueError) as fault:
            files = " and ".join(each for each in (tls.certificate, tls.key) if each)
            raise _unreadable("the client's certificate", files, fault) from fault
    context.set_alpn_protocols(list(protocols))
    return context


def tls_facts(connection: ssl.SSLObject | ssl.SSLSocket, tls: Tls) -> dict[str, str]:
    """What was agreed on, for the report."""
    cipher = connection.cipher()
    words = [connection.version() or "TLS", cipher[0] if cipher else ""]
    facts = {"tls": " ".join(filter(None, words))}
    if not tls.verify:
        facts["certificate"] = "not verified"
    return facts


def tls_fault(fault: ssl.SSLError, where: str) -> WireError:
    """One sentence on why there is no TLS."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        reason = f"its certificate is not accepted: {fault.verify_message.rstrip('.')}"
    elif fault.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE"):
        reason = "it does not speak TLS there"
    else:
        reason = f"the TLS handshake failed: {(fault.reason or str(fault)).replace('_', ' ')}"
    return WireError(f"no connection to {where}: {reason}", Failure.TLS)


def _unreadable(what: str, files: str | None, fault: Exception) -> WireError:
    reason = getattr(fault, "reason", None) or getattr(fault, "strerror", None) or str(fault)
    return WireError(f"{what} cannot be read from {files}: {reason}", Failure.TLS)
