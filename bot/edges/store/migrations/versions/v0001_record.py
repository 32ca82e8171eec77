"""The first record: rotations, messages, checks, notices, audit, and the lease."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GENESIS = "0" * 64


def upgrade() -> None:
    """Go forward; there is no way back but a backup."""
    _make_lease()
    _make_rotations()
    _make_messages()
    _make_checks_and_notices()
    _make_audit()


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _document() -> tuple[sa.Column[int], sa.Column[int], sa.Column[str]]:
    return (
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("format", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )


def _make_lease() -> None:
    lease = op.create_table(
        "lease",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(255), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("expires_at", _moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_lease"),
    )
    op.bulk_insert(lease, [{"id": 1, "holder": "", "epoch": 0, "expires_at": None}])


def _make_rotations() -> None:
    op.create_table(
        "rotations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("mesh", sa.String(255), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        *_document(),
        sa.PrimaryKeyConstraint("id", name="pk_rotations"),
    )
    op.create_index("ix_rotations_mesh_created_at", "rotations", ["mesh", "created_at"])
    active = sa.column("active", sa.Boolean) == sa.true()
    op.create_index(
        "one_active_rotation_per_mesh",
        "rotations",
        ["mesh"],
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )


def _make_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("placement", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("not_before", _moment(), nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("fault", sa.Text, nullable=False),
        sa.Column("settled_at", _moment(), nullable=True),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("ts", sa.String(64), nullable=False),
        *_document(),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_messages_status_id", "messages", ["status", "id"])
    op.create_index("ix_messages_subject", "messages", ["subject"])
    op.create_table(
        "anchors",
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("ts", sa.String(64), nullable=False),
        sa.Column("drawn_at", _moment(), nullable=False),
        sa.Column("gone", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_anchors"),
    )


def _make_checks_and_notices() -> None:
    op.create_table(
        "checks",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("mesh", sa.String(255), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("ok", sa.Boolean, nullable=False),
        *_document(),
        sa.PrimaryKeyConstraint("id", name="pk_checks"),
    )
    op.create_index("ix_checks_mesh_at", "checks", ["mesh", "at"])
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("mesh", sa.String(255), nullable=False),
        sa.Column("root", sa.String(64), nullable=False),
        sa.Column("threshold", sa.String(64), nullable=False),
        *_document(),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("mesh", "root", "threshold", name="uq_notices_mesh_root_threshold"),
    )


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("mesh", sa.String(255), nullable=True),
        sa.Column("rotation_id", sa.String(64), nullable=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
    op.create_index("ix_audit_mesh_seq", "audit", ["mesh", "seq"])
    op.create_index("ix_audit_rotation_id_seq", "audit", ["rotation_id", "seq"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": GENESIS}])
