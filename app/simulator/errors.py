"""The ways in which the pretend Heroku says no to a customer or to an add-on."""

from typing import Any


class HerokuError(Exception):
    """An answer other than yes. `status`, `id` and `message` are what Heroku's API puts on the wire.

    `more` are further fields of the body, as `resource` on a 404: what was not found. `headers` go with the answer.
    """

    def __init__(self, status: int, error_id: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.id = error_id
        self.message = message
        self.more = more
        self.headers: dict[str, str] = {}

    @property
    def body(self) -> dict[str, Any]:
        return {"id": self.id, "message": self.message, **self.more}


class AddOnFailed(HerokuError):
    """The add-on refused, failed or answered nonsense; `str()` is the sentence Heroku shows the customer.

    `partner_status` is the add-on's HTTP status, None when no answer came. `partner_message` is the text the add-on
    sent for the customer, None when it sent none.
    """

    def __init__(self, message: str, *, partner_status: int | None, partner_message: str | None = None) -> None:
        is_refusal = partner_message is not None
        super().__init__(422 if is_refusal else 503, "invalid_params" if is_refusal else "vendor_failure", message)
        self.partner_status = partner_status
        self.partner_message = partner_message


class StateUnreadable(Exception):
    """The state file is not one this simulator wrote, or not for this add-on; the message says what to do."""


def not_found(what: str) -> HerokuError:
    return HerokuError(
        404, "not_found", f"Couldn't find that {what}.", resource=what.replace("-", "_").replace(" ", "_")
    )


def invalid(message: str) -> HerokuError:
    return HerokuError(422, "invalid_params", message)


def unauthorized(message: str = "Invalid credentials provided.") -> HerokuError:
    return HerokuError(401, "unauthorized", message)


def forbidden(message: str = "You do not have access to this.") -> HerokuError:
    return HerokuError(403, "forbidden", message)
