"""A Kafka cluster of one's own, for tests: one to three nodes, each broker and controller in one (KRaft), in a folder and on
loopback ports that its owner gives, ended by the ids of their processes. Java runs Kafka's jars directly; whoever fetched
them says where they are. It lets in everybody who reaches its ports, except through doors that its owner adds.
"""
import base64
import os
import pathlib
import shutil
import socket
import subprocess
import time

READY_SECONDS_MAX = 120
END_SECONDS_MAX = 60
# Small and quick to start: what it is asked for here is little.
JAVA = ["java", "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"]
# Shared by all nodes. Group members are given their partitions at once, and a node that died is given up after seconds.
SETTINGS = {"process.roles": "broker,controller", "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4",
            "transaction.state.log.num.partitions": "4", "broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500",
            "log.retention.ms": "-1"}


class Failed(Exception):
    """Kafka did not do what it was asked; the text is what it said."""


def java(jars, main, *arguments, level="info"):
    """The command line of one of Kafka's programs; `level` is that of its log."""
    return [*JAVA, f"-Dorg.slf4j.simpleLogger.defaultLogLevel={level}", "-cp", f"{jars}/*", main, *[str(argument) for argument in arguments]]


def new_cluster_id():
    """As kafka-storage.sh random-uuid makes it; it may not begin like an option."""
    while True:
        text = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        if not text.startswith("-"):
            return text


class Node:
    """One process of the cluster and its folder."""

    def __init__(self, number, folder, port):
        self.number, self.folder, self.port = number, folder, port
        self.properties, self.log, self.process = folder / "server.properties", folder / "log", None

    def running(self):
        return self.process is not None and self.process.poll() is None


class Cluster:
    """Its nodes may be stopped, killed and started again, one by one. `ports` are as many pairs as there are nodes: where clients
    come in, and where the controllers talk with each other. `doors` are further listeners of the first node, by their names, with
    their ports; `settings` say what they ask of clients."""

    def __init__(self, folder, jars, ports, settings=None, doors=None):
        self.doors = doors or {}
        self.folder, self.jars, self.ports, self.id = pathlib.Path(folder), jars, ports, new_cluster_id()
        self.settings = {**SETTINGS, **self.replication(), **(settings or {})}
        self.nodes = [Node(number + 1, self.folder / f"node{number + 1}", port) for number, (port, _) in enumerate(ports)]

    @property
    def brokers(self):
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def replication(self):
        """Of three nodes one may be missing at any time."""
        nodes = len(self.ports)
        majority = str(nodes // 2 + 1)
        return {"default.replication.factor": str(nodes), "min.insync.replicas": majority,
                "offsets.topic.replication.factor": str(nodes), "transaction.state.log.replication.factor": str(nodes),
                "transaction.state.log.min.isr": majority}

    def properties_of(self, node):
        voters = ",".join(f"{number + 1}@127.0.0.1:{controller}" for number, (_, controller) in enumerate(self.ports))
        doors = "".join(f",{name}://127.0.0.1:{port}" for name, port in self.doors.items()) if node.number == 1 else ""
        own = {"node.id": str(node.number), "log.dirs": str(node.folder / "data"), "controller.quorum.voters": voters,
               "listeners": f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{self.ports[node.number - 1][1]}{doors}"}
        return "".join(f"{name}={value}\n" for name, value in {**self.settings, **own}.items())

    def create(self):
        formatting = []
        for node in self.nodes:
            node.folder.mkdir(parents=True)
            node.properties.write_text(self.properties_of(node))
            formatting.append(subprocess.Popen(
                java(self.jars, "kafka.tools.StorageTool", "format", "--cluster-id", self.id, "--config", node.properties),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        said = [process.communicate(timeout=READY_SECONDS_MAX)[0] for process in formatting]
        for process, text in zip(formatting, said):
            if process.returncode != 0:
                raise Failed(f"kafka.tools.StorageTool: {text.strip()[-2000:]}")
        return self

    def start(self, *nodes):
        """All that do not run, or those given; they answer after it."""
        return self.launch(*nodes).wait_until_ready(*nodes)

    def launch(self, *nodes):
        """Starts them and does not wait for it."""
        for node in nodes or self.nodes:
            if not node.running():
                with open(node.log, "ab") as log:
                    node.process = subprocess.Popen(java(self.jars, "kafka.Kafka", node.properties), stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log, cwd=node.folder)
        return self

    def wait_until_ready(self, *nodes):
        deadline = time.monotonic() + READY_SECONDS_MAX
        for node in nodes or self.nodes:
            while not self.answers(node):
                if not node.running() or time.monotonic() > deadline:
                    raise Failed(f"node {node.number} of Kafka did not start:\n{node.log.read_text(errors='replace')[-3000:]}")
                time.sleep(0.05)
        return self

    @staticmethod
    def answers(node):
        """A broker listens for clients from when it can serve them."""
        try:
            socket.create_connection(("127.0.0.1", node.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self, *nodes):
        """As an operator does it: what it leads is handed over. Killed where that takes too long."""
        ending = [node for node in nodes or self.nodes if node.running()]
        for node in ending:
            node.process.terminate()
        deadline = time.monotonic() + END_SECONDS_MAX
        for node in ending:
            try:
                node.process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.kill(node)

    def kill(self, *nodes):
        """kill -9, and waits until they are gone."""
        ending = [node for node in nodes or self.nodes if node.running()]
        for node in ending:
            node.process.kill()
        for node in ending:
            node.process.wait()

    def remove(self):
        """For good; what they stored goes as well, their logs stay."""
        self.kill()
        for node in self.nodes:
            shutil.rmtree(node.folder / "data", ignore_errors=True)
