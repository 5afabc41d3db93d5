"""The control database: outbox, chain logs, statements, attestations, books."""

from __future__ import annotations

from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_chain()
    _create_outbox()
    _create_statements()
    _create_attestations()
    _create_ledger()


def downgrade() -> None:
    for table in (
        "cursors",
        "transfers",
        "anchors",
        "attestations",
        "attestation_requests",
        "attestor_sets",
        "statement_lines",
        "statements",
        "outbox_attempts",
        "outbox_transactions",
        "chain_logs",
        "chain_blocks",
    ):
        op.drop_table(table)


def _row_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _base_units(name: str) -> sa.Column[Decimal]:
    # As it was when this was written: adtally.storage.column_types.BaseUnits.
    kind = sa.Numeric(78, 0).with_variant(sa.String(78), "sqlite")
    return sa.Column(name, kind, nullable=False)


def _big(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def _bytes(name: str, size: int | None = None, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(size), nullable=nullable)


def _counts() -> list[sa.Column[int]]:
    return [_big(name) for name in ("impressions", "viewables", "clicks", "conversions")]


def _create_chain() -> None:
    op.create_table(
        "chain_blocks",
        _big("number"),
        _bytes("hash", 32),
        _big("timestamp_seconds"),
        sa.PrimaryKeyConstraint("number", name="pk_chain_blocks"),
    )
    op.create_table(
        "chain_logs",
        _bytes("block_hash", 32),
        sa.Column("log_index", sa.Integer(), autoincrement=False, nullable=False),
        _big("block_number"),
        _bytes("transaction_hash", 32),
        _bytes("address", 20),
        _bytes("topics"),
        _bytes("data"),
        sa.PrimaryKeyConstraint("block_hash", "log_index", name="pk_chain_logs"),
    )
    op.create_index("ix_chain_logs_block_number", "chain_logs", ["block_number"])


def _create_outbox() -> None:
    table = "outbox_transactions"
    op.create_table(
        table,
        sa.Column("id", _row_id(), autoincrement=True, nullable=False),
        sa.Column("effect_key", sa.String(200), nullable=False),
        sa.Column("purpose", sa.String(200), nullable=False),
        _bytes("sender", 20),
        _bytes("to_address", 20),
        _bytes("data"),
        _big("gas", nullable=True),
        _big("created_at_ms"),
        sa.Column("state", sa.Integer(), nullable=False),
        _bytes("transaction_hash", 32, nullable=True),
        _big("block_number", nullable=True),
        _bytes("block_hash", 32, nullable=True),
        _big("gas_used", nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_transactions"),
        sa.UniqueConstraint("effect_key", name="uq_outbox_transactions_effect_key"),
    )
    op.create_index("ix_outbox_transactions_state", table, ["state"])
    op.create_index("ix_outbox_transactions_transaction_hash", table, ["transaction_hash"])
    op.create_table(
        "outbox_attempts",
        sa.Column("transaction_id", _row_id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        _big("nonce"),
        _base_units("max_fee_wei"),
        _base_units("priority_fee_wei"),
        _bytes("raw"),
        _bytes("hash", 32),
        _big("signed_at_ms"),
        sa.Column("is_filler", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["outbox_transactions.id"],
            name="fk_outbox_attempts_transaction_id",
        ),
        sa.PrimaryKeyConstraint("transaction_id", "position", name="pk_outbox_attempts"),
    )
    op.create_index("ix_outbox_attempts_hash", "outbox_attempts", ["hash"])


def _create_statements() -> None:
    op.create_table(
        "statements",
        _big("campaign"),
        _big("sequence"),
        _big("tree_size"),
        _base_units("lines_total_base_units"),
        *_counts(),
        _big("corrections"),
        _bytes("lines_root", 32),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        _big("created_at_ms"),
        _bytes("settled_transaction_hash", 32, nullable=True),
        _big("settled_block_number", nullable=True),
        _bytes("settled_block_hash", 32, nullable=True),
        _big("activates_at_seconds", nullable=True),
        sa.Column("is_objected", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "sequence", name="pk_statements"),
    )
    op.create_table(
        "statement_lines",
        _big("campaign"),
        _big("sequence"),
        _big("publisher"),
        *_counts(),
        _base_units("amount_base_units"),
        sa.ForeignKeyConstraint(
            ["campaign", "sequence"],
            ["statements.campaign", "statements.sequence"],
            name="fk_statement_lines_campaign_sequence",
        ),
        sa.PrimaryKeyConstraint("campaign", "sequence", "publisher", name="pk_statement_lines"),
    )


def _create_attestations() -> None:
    op.create_table(
        "attestor_sets",
        _big("attestor_set"),
        _big("version"),
        _big("threshold"),
        _bytes("attestors"),
        sa.PrimaryKeyConstraint("attestor_set", "version", name="pk_attestor_sets"),
    )
    op.create_table(
        "attestation_requests",
        sa.Column("id", _row_id(), autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        _big("attestor_set"),
        _big("tree_size"),
        _bytes("root_hash", 32),
        _bytes("digest", 32),
        _big("campaign", nullable=True),
        _big("sequence", nullable=True),
        _big("created_at_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_attestation_requests"),
        sa.UniqueConstraint("subject", name="uq_attestation_requests_subject"),
    )
    op.create_index("ix_attestation_requests_tree_size", "attestation_requests", ["tree_size"])
    op.create_table(
        "attestations",
        sa.Column("request_id", _row_id(), nullable=False),
        _bytes("attestor", 20),
        _bytes("signature", 65, nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        _big("answered_at_ms"),
        sa.CheckConstraint(
            "(signature IS NULL) <> (refusal IS NULL)",
            name=op.f("ck_attestations_signature_or_refusal"),
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["attestation_requests.id"], name="fk_attestations_request_id"
        ),
        sa.PrimaryKeyConstraint("request_id", "attestor", name="pk_attestations"),
    )


def _create_ledger() -> None:
    op.create_table(
        "anchors",
        _big("tree_size"),
        _bytes("root_hash", 32),
        _big("anchor_number"),
        _bytes("transaction_hash", 32),
        _big("block_number"),
        _bytes("block_hash", 32),
        sa.PrimaryKeyConstraint("tree_size", name="pk_anchors"),
    )
    op.create_table(
        "transfers",
        sa.Column("id", _row_id(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        _big("campaign"),
        _big("member"),
        _bytes("party", 20),
        _bytes("token", 20),
        _base_units("amount_base_units"),
        _base_units("total_base_units"),
        _bytes("transaction_hash", 32),
        _big("block_number"),
        _bytes("block_hash", 32),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
        sa.UniqueConstraint("block_hash", "log_index", name="uq_transfers_block_hash_log_index"),
    )
    op.create_index("ix_transfers_block_number", "transfers", ["block_number"])
    op.create_index("ix_transfers_campaign", "transfers", ["campaign"])
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(40), nullable=False),
        _big("block_number"),
        _bytes("block_hash", 32),
        sa.PrimaryKeyConstraint("name", name="pk_cursors"),
    )
