"""Defends: docs/capture/kafka.md does what it says, from an empty folder to captured commands: each of its commands is run, in
its order, with Kafka's own tools; a user with a password and the rights that it lists is enough for the capture, of commands
of another shape as well."""
import harness
import page_parts
from kafka_parts import write_programs

# A reader sees by looking when what was sent is on record.
WAITING = """wait_until_read() {
  for _ in $(seq 600); do
    curl -s http://127.0.0.1:8080/metrics | awk -v wanted=$1 '/^vestige_capture_(rows|refused)_total/ { n += $2 }
      END { exit n != wanted }' && return
    sleep 0.1
  done
  return 1
}
"""
TOPIC, V2 = (f"backoffice.create-audit-log.command.{version}" for version in ("v1", "v2"))


def script_of(page, ports, url):
    script, sent = WAITING, 0
    for kind, block in page_parts.blocks(page):
        if kind in ("serve", "restart"):
            assert block == page_parts.SERVE, block
            script += (page_parts.END_SERVER if kind == "restart" else "") + page_parts.server_in_background(url)
            sent = 0  # since this one began
        elif kind == "broker":
            script += page_parts.in_background(block.strip(), "broker", "(: </dev/tcp/127.0.0.1/9092) 2>/dev/null")
        elif kind == "":
            script += block
            if "kafka-console-producer.sh" in block:
                sent += 2 if "VIEWED" in block else 1
                script += f"wait_until_read {sent}\n"
            script += f"echo '{page_parts.PARTED}'\n"
    for port, ours in ports.items():
        script = script.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ours}").replace(f"127.0.0.1/{port}", f"127.0.0.1/{ours}")
    return script.replace("http://127.0.0.1:8080", url)


def test_every_command_of_the_page_works(context):
    url = f"http://127.0.0.1:{harness.free_port()}"
    ports = {port: harness.free_port() for port in (9091, 9092, 9094)}
    write_programs(context.folder)
    page = (harness.ROOT / "docs/capture/kafka.md").read_text()
    answers = page_parts.run(context, script_of(page, ports, url), [])
    _, topics, rights, _, _, once, _, twice, _, looked, mapping, more, _, mapped, watched, rest = answers
    assert not mapping and more.count("Created topic") == 2 and more.count("Adding ACLs") == 2, (mapping, more)
    for told in ("ADDRESS_CHANGED", "2026-11-25T09:12:00", "m-3", "c-9", "Cebu", V2):
        assert told in mapped, (told, mapped)
    assert topics.count("Created topic") == 2 and rights.count("Adding ACLs") == 3, (topics, rights)
    assert once == twice and once.count("3fa85f64-5717-4562-b3fc-2c963f66afa6") == 1 and "Manila" in once, (once, twice)
    assert f"vestige.topic:{TOPIC}" in looked and "vestige.reason:" in looked and '{"targetType": "CUSTOMER"' in looked, looked
    assert "REFUSED" in looked and "STARTED" in looked and "c-6" in looked, looked
    assert 'vestige_capture_connected{capture="backoffice"} 1\n' in watched, watched
    assert 'vestige_capture_rows_total{capture="backoffice"} 1\n' in watched, watched
    assert TOPIC in watched and V2 in watched, watched
    assert not rest.strip(), rest
    assert "secret-of-vestige" not in (context.folder / "server.log").read_text()
