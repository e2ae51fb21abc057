"""What operators may do: four roles, each of which may do all that the ones before it may."""

from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from app.errors import Refused


class NotAllowed(Refused):
    """The operator's role is too low."""


class Role(IntEnum):
    """Ordered: a higher role includes the lower ones.

    VIEWER    sees everything but secrets
    SUPPORT   helps customers: looks at what they see, has waiting work tried again
    OPERATOR  changes resources: rotates, suspends, deprovisions, many at once; withdraws plans
    OWNER     decides who else is an operator
    """

    VIEWER = 1
    SUPPORT = 2
    OPERATOR = 3
    OWNER = 4

    @property
    def word(self) -> str:
        """The role as people read and write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something: an operator in the panel, or whoever types on the command line.

    Attributes:
        name: for the history; an e-mail address, or the account of the machine.
        role: what they may do.
        operator_id: whose account it is; None on the command line.
    """

    name: str
    role: Role
    operator_id: UUID | None = None

    def need(self, role: Role) -> None:
        """Let nobody pass who may do less than `role`.

        Raises:
            NotAllowed: says which role it takes.
        """
        if self.role < role:
            raise NotAllowed(f"This takes the role {role.word}; yours is {self.role.word}.")
