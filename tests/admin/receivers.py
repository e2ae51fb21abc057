"""Where alerts arrive in the tests: a mail server and a webhook's receiver, on real sockets of this machine."""

import asyncio
import base64
import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class MailServer:
    """Speaks as much SMTP as a client needs. `refusals` are answers to the next MAIL commands."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    sign_ins: list[tuple[str, str]] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    knows_sign_in: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_secure = writer.get_extra_info("sslcontext") is not None
        writer.write(b"220 mail.test\r\n")
        while line := await reader.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            self.said.append(verb.upper())
            match verb.upper():
                case "EHLO":
                    extensions = ["mail.test"]
                    extensions += ["STARTTLS"] if self.tls and not is_secure else []
                    extensions += ["AUTH PLAIN"] if self.knows_sign_in else []
                    lines = [f"250-{each}" for each in extensions] + ["250 SIZE 1000000"]
                    writer.write("".join(f"{each}\r\n" for each in lines).encode())
                case "STARTTLS":
                    writer.write(b"220 go ahead\r\n")
                    await writer.start_tls(self.tls)
                    is_secure = True
                case "AUTH":
                    _, name, password = base64.b64decode(rest.removeprefix("PLAIN ")).decode().split("\0")
                    self.sign_ins.append((name, password))
                    writer.write(b"235 welcome\r\n")
                case "MAIL":
                    writer.write(self.refusals.pop(0) if self.refusals else b"250 ok\r\n")
                case "RCPT":
                    self.recipients.append(rest.partition("<")[2].partition(">")[0])
                    writer.write(b"250 ok\r\n")
                case "DATA":
                    writer.write(b"354 go on\r\n")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append(message_from_bytes(text[:-3].replace(b"\r\n..", b"\r\n."), policy=default))
                    writer.write(b"250 taken\r\n")
                case "QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                case _:
                    writer.write(b"250 ok\r\n")
            await writer.drain()
        writer.close()


@dataclass
class Webhook:
    """Takes what is posted. `answers` are the statuses of the next requests, 200 after that."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [json.loads(body)["text"] for body in self.bodies]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        self.paths.append(head[0].split(" ")[1])
        self.headers.append(headers)
        self.bodies.append(await reader.readexactly(int(headers["content-length"])))
        status = self.answers.pop(0) if self.answers else 200
        location = f"Location: http://127.0.0.1:{self.port}/elsewhere\r\n" if 300 <= status < 400 else ""
        writer.write(f"HTTP/1.1 {status} x\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(what: MailServer | Webhook, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """On a free port of this machine, until the end of the block."""
    server = await asyncio.start_server(what.serve, "127.0.0.1", 0, ssl=tls)
    what.port = server.sockets[0].getsockname()[1]
    async with server:
        yield


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for localhost, and the file that makes a client trust it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "trusted.pem", folder / "private.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(trusted, private)
    return server, trusted
