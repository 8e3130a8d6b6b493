"""Defends: with TLS and passwords both capture and `vestige forward kafka` work, and what is wrong with them (a password, a
certificate that nobody vouches for, a right that is missing) is said in words that an operator can act upon, without the
secret; what was closed is gone on with when it is open again, and nothing is left out."""
from api_parts import event
from forward_parts import TOPIC, Forwarder, check_whole, index_of, make_key, post, revoke_key
from kafka_parts import QUICK, command, message, wait_until
from secured_parts import PASSWORD, WRONG, Secured

COMMANDS = "commands"


def test_a_forwarder_says_who_does_not_let_it_in(context):
    cluster = Secured(context)
    cluster.client("make", topics=[TOPIC], partitions=1)
    cluster.allow(topic=TOPIC, operation="WRITE")
    server = context.server()
    key = make_key(server)
    (last,) = post(server, event())
    forward = cluster.forwarder(context, server, key).begin()
    wrong = cluster.forwarder(context, server, key, "guessing", password=WRONG).begin()
    strange = cluster.forwarder(context, server, key, "strange", trusted=cluster.other).begin()
    plain = Forwarder(context, server, cluster.address, key, "plain").begin()
    forward.wait_for(last)
    forward.stop()
    check_whole(cluster.client, server, key, last)
    for refused, *words in ((wrong, "Authentication failure", "Invalid username or password"),
                            (strange, "certificate verify failed"), (plain, "security.protocol")):
        assert refused.wait() == 3 and f"Kafka at {cluster.address} cannot be written to" in refused.errors, refused.errors
        assert all(word in refused.errors for word in words), refused.errors
        assert refused.errors.count("\n") == 1, refused.errors
    for file in [*context.folder.glob("*.errors"), *context.folder.glob("*.said"), server.log]:
        assert PASSWORD not in file.read_text() and WRONG not in file.read_text(), file


def test_a_forwarder_ends_where_topic_or_trail_is_closed_to_it(context):
    """When it begins, and while it runs; when the topic is open again it goes on where it stood."""
    cluster = Secured(context)
    cluster.client("make", topics=[TOPIC], partitions=1)
    server = context.server()
    key = make_key(server)
    (last,) = post(server, event())
    forward = cluster.forwarder(context, server, key)

    def is_refused(*words):
        assert forward.wait() == 1, forward.errors
        for word in (*words, "authorization failed", "Let its user write to the topic"):
            assert word in forward.errors, forward.errors
        assert forward.told()["acknowledged"] == 0 or forward.told()["saved"], forward.told()

    forward.begin()
    is_refused("cannot be written to", TOPIC)
    # It may look at the topic alone.
    cluster.allow(topic=TOPIC, operation="DESCRIBE")
    forward.begin()
    is_refused("ends here, at entry 0,")
    for _ in range(2):
        cluster.allow(topic=TOPIC, operation="WRITE")
        forward.begin().wait_for(last)
        cluster.forbid(topic=TOPIC, operation="WRITE")
        (last,) = post(server, event())
        is_refused(f"ends here, at entry {last},")
        assert forward.cursor() == last, forward.told()
    cluster.allow(topic=TOPIC, operation="WRITE")
    forward.begin().wait_for(last)
    _, messages = check_whole(cluster.client, server, key, last)
    assert [index_of(one) for one in messages] == list(range(last + 1))
    revoke_key(server)
    assert forward.wait() == 1 and "The API key is none that this server knows" in forward.errors, forward.errors
    assert forward.begin().wait() == 1 and "The API key is none that this server knows" in forward.errors, forward.errors


def sources(context, cluster):
    """A server that reads a topic three times: one way that is right, and two that are not."""
    text = ""
    for name, options in (("bank", {}), ("guessing", {"password": WRONG}), ("strange", {"trusted": cluster.other})):
        text += f'[[capture.kafka]]\nname = "{name}"\nbrokers = "{cluster.address}"\ntopics = ["{COMMANDS}"]\n'
        text += "[capture.kafka.options]\n"
        text += "".join(f'"{option}" = "{value}"\n' for option, value in {**QUICK, **cluster.options(**options)}.items())
    file = context.folder / "sources.toml"
    file.write_text(text)
    return context.server("--config", str(file))


def test_a_capture_says_who_does_not_let_it_in(context):
    """And reads from when it may."""
    cluster = Secured(context)
    cluster.client("make", topics=[COMMANDS, f"{COMMANDS}.dlq"], partitions=1)
    cluster.client.send(COMMANDS, message(command(targetId="early")), message("bad", key="poison"))
    server = sources(context, cluster)

    def is_said(*words):
        wait_until(lambda: any(all(word in line for word in words) for line in server.log.read_text().split("\n")),
                   f"{words} in the log")

    is_said("capture guessing:", "Authentication failure", "Invalid username or password")
    is_said("capture strange:", "certificate verify failed")
    is_said("capture bank:", "Group authorization failed")
    is_said("capture bank:", COMMANDS, "Topic authorization failed")
    cluster.allow(topic=COMMANDS, operation="READ")
    cluster.allow(group="vestige.bank", operation="READ")
    wait_until(lambda: server.search(targetId="early")["events"], "what came early on record")
    # Its dead letters are closed to it, and their partition waits.
    is_said("capture bank:", f"{COMMANDS}/0 waits at 1,", "authorization failed", "tried again")
    cluster.client.send(COMMANDS, message(command(targetId="late")))
    cluster.allow(topic=f"{COMMANDS}.dlq", operation="WRITE")
    wait_until(lambda: server.search(targetId="late")["events"], "what came late on record")
    assert len(cluster.client.read(f"{COMMANDS}.dlq")) == 1
    assert PASSWORD not in server.log.read_text() and WRONG not in server.log.read_text()
