"""Defends: docs/operating/forward.md does what it says, from an empty topic to a trail in it: each of its commands is run, in
its order, with Kafka's own tools; its role is enough, and its file of options lets it in through TLS with a password."""
import json

import harness
import page_parts
from api_parts import event
from forward_parts import post
from kafka_parts import write_programs
from secured_parts import PASSWORD, Secured

RUN = "vestige forward kafka --brokers $brokers --topic audit.entries\n"
# A reader sees by looking when all that there is was forwarded.
FORWARDED = ("""[ "$(curl -s $url/api/cursors/forward.audit.entries -H "Authorization: Bearer $VESTIGE_KEY" """
             "| jq .next)\" -gt LAST ] 2>/dev/null")
SECURED = """cat > kafka.properties <<'END'
{}END
vestige forward kafka --brokers {} --topic secured --options-file kafka.properties --count 2 --json
"""


def script_of(page, cluster, server, last):
    script = ""
    for kind, block in page_parts.blocks(page):
        if kind == "forward":
            assert block == RUN, block
            script += page_parts.in_background(block.strip(), "forwarder", FORWARDED.replace("LAST", str(last)))
        elif kind == "properties":
            ours = block.replace("secret-of-vestige", PASSWORD).replace("/etc/vestige/kafka-ca.pem", str(cluster.certificate))
            assert PASSWORD in ours and str(cluster.certificate) in ours, block
            script += SECURED.format(ours, cluster.address)
        elif kind == "":
            script += block
        script += f"echo '{page_parts.PARTED}'\n"
    script += "kill $forwarder_process; wait $forwarder_process\n"
    return script.replace("http://127.0.0.1:8080", server.url).replace("127.0.0.1:9092", cluster.brokers)


def test_every_command_of_the_page_works(context):
    cluster = Secured(context)
    cluster.client("make", topics=["secured"], partitions=1)
    cluster.allow(topic="secured", operation="WRITE")
    server = context.server()
    (context.folder / "var").symlink_to(server.data)
    write_programs(context.folder)
    deletion = event(action="DELETED", targetType="CUSTOMER", targetId="c-4", subject="Quiet GmbH")
    *_, last = post(server, deletion, event(action="ADDED"))
    page = (harness.ROOT / "docs/operating/forward.md").read_text()
    answers = page_parts.run(context, script_of(page, cluster, server, last), [])
    made, role, running, looked, secured, deletions, saved, ended = answers
    assert made.count("Created topic") == 1 and '"version":1' in role and not running, answers
    assert "vestige.index:" in looked and "vestige.origin:" in looked, looked
    assert json.loads(looked.splitlines()[-1])["next"] > last, looked
    assert json.loads(secured)["acknowledged"] == 2 and json.loads(secured)["saved"], secured
    assert deletions.count("Created topic") == 1 and json.loads(deletions.splitlines()[-1])["acknowledged"] == 1, deletions
    assert json.loads(saved)["next"] == 0 and not ended, answers
    (deleted,) = cluster.client.read("deletions")
    assert json.loads(deleted.value)["action"] == "DELETED" and b"GmbH" not in deleted.value, deleted
    assert [json.loads(one.value)["index"] for one in cluster.client.read("audit.entries")].count(last) == 1
    end = (context.folder / "forwarder.log").read_text()
    assert json.loads(end)["saved"] and json.loads(end)["cursor"] == "forward.audit.entries", end
