"""Operators: their accounts, their sessions, and the sign-ins that failed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base
from app.operators.roles import Role


class Operator(Base):
    """Somebody of the partner's staff. Never deleted: the history names them; who leaves is disabled."""

    __tablename__ = "operators"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # In lower case.
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    role_number: Mapped[int] = mapped_column("role", SmallInteger)
    # An IANA name; times on pages are in this zone.
    time_zone: Mapped[str] = mapped_column(Text, default="UTC")
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    # argon2id, as its library writes it; None for who only comes by OpenID Connect.
    password_hash: Mapped[str | None] = mapped_column(Text)
    password_set_at: Mapped[datetime | None]
    # Somebody else made it up: it is good for choosing one's own, and for nothing else.
    is_password_temporary: Mapped[bool] = mapped_column(default=False)
    # Encrypted for `operators.totp_secret:<id>`; in force from `totp_confirmed_at` on.
    totp_secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_confirmed_at: Mapped[datetime | None]
    # The newest time step whose code was used: a code works once.
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)
    # SHA-256 of each recovery code that is left, in hex.
    recovery_digests: Mapped[list[str]] = mapped_column(JSONB, default=list)
    # Issuer and subject of the OpenID Connect account that this operator has come in with.
    oidc_subject: Mapped[str | None] = mapped_column(Text, unique=True)

    @property
    def role(self) -> Role:
        """What the operator may do."""
        return Role(self.role_number)


class OperatorSession(Base):
    """One sign-in of an operator, in one browser, until it ends, is revoked or lies idle."""

    __tablename__ = "operator_sessions"
    __table_args__ = (Index("ix_operator_sessions_operator_id_created_at", "operator_id", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id"))
    # SHA-256 of what the browser's cookie carries.
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    # "password", "password and code", "OpenID Connect"
    method: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    browser: Mapped[str] = mapped_column(Text)


class FailedSignIn(Base):
    """A sign-in that failed; counted for its address and for its account, whether or not there is such an account."""

    __tablename__ = "failed_sign_ins"
    __table_args__ = (
        Index("ix_failed_sign_ins_email_at", "email", "at"),
        Index("ix_failed_sign_ins_address_at", "address", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime]
    email: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
