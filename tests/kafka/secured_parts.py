"""A cluster that lets a user in through TLS with a password, under a certificate made for the test, to what it was allowed."""
import subprocess

import harness
from forward_parts import TOPIC, Forwarder
from kafka_parts import Cluster

PASSWORD = "quiet-otters-count"
WRONG = "loud-otters-guess"


def certificate(folder, name):
    """A key and a certificate of its own for 127.0.0.1: the certificate's file, and one with both."""
    key, own, both = (folder / f"{name}{ending}" for ending in (".key", ".pem", ".both.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", own], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + own.read_bytes())
    return own, both


class Secured(Cluster):
    """The user may do what it was allowed; the test's own client comes in beside that, and may do all."""

    def __init__(self, context):
        self.certificate, both = certificate(context.folder, "broker")
        self.other, _ = certificate(context.folder, "other")
        self.door = harness.free_port()
        super().__init__(context, doors={"SASL_SSL": self.door}, **{
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
            "sasl.enabled.mechanisms": "PLAIN", "ssl.keystore.type": "PEM", "ssl.keystore.location": str(both),
            "listener.name.sasl_ssl.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required "
                                                             f'user_vestige="{PASSWORD}";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS"})

    @property
    def address(self):
        return f"127.0.0.1:{self.door}"

    def options(self, password=PASSWORD, trusted=None):
        return {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "vestige",
                "sasl.password": password, "ssl.ca.location": str(trusted or self.certificate)}

    def allow(self, **where):
        self.client("allow", user="vestige", **where)

    def forbid(self, **where):
        self.client("forbid", user="vestige", **where)

    def forwarder(self, context, server, key, topic=TOPIC, **options):
        """Its options are in a file, as a password has to be."""
        file = context.folder / f"{topic}.properties"
        file.write_text("# librdkafka\n\n" + "".join(f"{name}={value}\n" for name, value in self.options(**options).items()))
        file.chmod(0o600)
        return Forwarder(context, server, self.address, key, topic, options_file=file)
