"""Every error that Rootkeeper raises on purpose, as one tree.

    RootkeeperError                 message, hint, retry_after
      ClusterError                  something about a Kubernetes API
        ClusterUnreachable          no answer, or not in time: try again
        ClusterForbidden            the bot's ServiceAccount may not do this
        ClusterConflict             somebody else wrote first (HTTP 409)
        ClusterRefused              the API server or an admission webhook said no
        ObjectAbsent                a named object does not exist
        OutcomeUnknown              a write may or may not have happened: look before doing it again
      KeyUnusable                   the CA's private key cannot be used to sign
      CertificateUnusable           a certificate cannot be re-issued as it must be
      StoreError                    something about the record
        LostRace                    the record moved on since it was read
        NotLeader                   another process holds the epoch
        RecordAbsent                no such rotation
        DatabaseAbsent              no database where one must be
      DirectoryUnavailable          who somebody is could not be looked up: the answer is no
      SlackError                    Slack did not take a call
      SettingsFault                 the settings cannot be used; all faults at once

Facts about certificates are findings (bot.core.findings), not errors. A library's own
exceptions are translated in one file per edge. Anything else that is raised is a bug.
"""

from datetime import timedelta


class RootkeeperError(Exception):
    """What went wrong, in names and numbers, and what to do about it.

    `message` and `hint` are safe to show: they never hold key material, tokens or whole objects.
    `retry_after` says when the same call is worth another try; None means not by itself.
    """

    hint = ""

    def __init__(self, message: str, *, hint: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or type(self).hint
        self.retry_after = retry_after


class ClusterError(RootkeeperError):
    """A Kubernetes API did not do what was asked."""


class ClusterUnreachable(ClusterError):
    """No answer, or not in time."""

    hint = "Check the network between Rootkeeper and the API server, and that it answers."


class ClusterForbidden(ClusterError):
    """The bot's ServiceAccount may not do this (401 or 403)."""

    hint = "Apply manifests/ again, then run `rootkeeper doctor`: it names every missing permission."


class ClusterConflict(ClusterError):
    """Somebody else wrote the object first (409)."""

    hint = "Find out who else writes this object; ask for a new transition when it is quiet."


class ClusterRefused(ClusterError):
    """The API server or an admission webhook refused the request (400, 413, 422, 403 by admission)."""

    hint = "Nothing was written. Read the refusal; change the policy that made it or ask its owner."


class ObjectAbsent(ClusterError):
    """A named object does not exist (404)."""


class OutcomeUnknown(ClusterError):
    """A write was sent and its answer never came: the object must be read before anything else."""


class KeyUnusable(RootkeeperError):
    """The CA's private key cannot be read or must not be used to sign."""


class CertificateUnusable(RootkeeperError):
    """A certificate cannot be re-issued the way every verifier needs it."""


class StoreError(RootkeeperError):
    """The record could not be read or written."""

    hint = "Check the database's disk and permissions. The bot stops acting until it can record."


class LostRace(StoreError):
    """The record moved on since it was read; read it again and decide anew."""


class NotLeader(StoreError):
    """Another process holds the epoch; this one must not act."""


class RecordAbsent(StoreError):
    """No rotation with this id."""


class DatabaseAbsent(StoreError):
    """There is no database where the settings say."""


class DirectoryUnavailable(RootkeeperError):
    """Who somebody is could not be looked up, so they may not decide anything."""

    hint = "Try again in a minute; `rootkeeper doctor` tests the scopes this needs."


class SlackError(RootkeeperError):
    """Slack did not take a call."""


class SettingsFault(RootkeeperError):
    """The settings cannot be used; the message names every fault."""
